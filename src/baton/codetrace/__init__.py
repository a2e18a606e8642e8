"""Which code a task can reach, and what was seen while it ran."""
