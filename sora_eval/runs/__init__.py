"""A run folder: its format, its reader and its writer."""
