"""Results: objects by digest, and a record of which work made which objects."""
