"""Where the frames that were given to a model lie in the clip that came back: bars, crop, padding, resize, shift and zoom."""
