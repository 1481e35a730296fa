"""How one part of a clip goes over into another: steps from frame to frame, seams, cuts and cross-fades."""
