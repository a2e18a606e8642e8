"""Which code a task can reach, and what was observed while it ran."""
