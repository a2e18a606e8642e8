"""Looking after a project: its cache, whether remembered results are right, and what ``doctor`` checks."""
