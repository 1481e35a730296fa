"""Pure functions from arrays to numbers: tracking, permanence, physics, geometry, distances."""
