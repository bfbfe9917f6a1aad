"""Where the jobs of a worker are in their code right now."""
