"""What baton costs, measured side by side with the alternatives: ``python -m benchmarks``."""
