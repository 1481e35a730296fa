"""Generators, probes, scene families, trackers and metrics of other packages: entry points, and folders of --include."""
