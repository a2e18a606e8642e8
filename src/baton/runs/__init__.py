"""A project and its runs: its pipeline and settings, one execution, the records, what would run and why."""
