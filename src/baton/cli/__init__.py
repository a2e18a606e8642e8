"""The command line: the only part of baton that prints and exits."""
