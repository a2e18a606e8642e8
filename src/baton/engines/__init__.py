"""Engines run a DAG; no engine imports another."""
