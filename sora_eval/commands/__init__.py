"""Commands of the console script that have a room of their own: one file each, with `main(args) -> exit code`."""
