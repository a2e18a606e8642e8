"""Maintain a project: its cache, whether cached results are right, and the checks of ``doctor``."""
