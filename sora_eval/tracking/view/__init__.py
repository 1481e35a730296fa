"""How a player's view moves: turns, looks, walks and jumps, measured on the picture alone."""
