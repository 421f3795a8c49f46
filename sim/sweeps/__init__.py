"""Floor 3: sweeps. Many runs as few array programs: design, shards, store, executors."""
