"""Processes: how this one begins and ends, and those that it starts."""
