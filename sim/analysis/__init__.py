"""Floor 4: what measures, compares and explains; reads results only."""
