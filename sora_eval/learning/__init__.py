"""What the bundled networks are trained with: the loop, the optimiser, the sets of world clips."""
