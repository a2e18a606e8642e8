"""Start and stop processes, this one and its children."""
