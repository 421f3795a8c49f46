"""Floor 5: one file per picture; reads results only."""
