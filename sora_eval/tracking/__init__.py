"""Video -> tracks, flow, camera: the world-tier tracker and classical ones for natural video."""
