"""What runs a DAG; no engine imports another."""
