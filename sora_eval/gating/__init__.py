"""The gate's way from two runs, or a run and a generator, to the sides that are compared."""
