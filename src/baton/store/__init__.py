"""What was computed: objects by digest, and the memory of which work gave which objects."""
