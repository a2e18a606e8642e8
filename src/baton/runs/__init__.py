"""A project and its runs: pipeline, settings, executions, records, plans and explanations."""
