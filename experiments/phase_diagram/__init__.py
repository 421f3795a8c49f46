"""A phase diagram: the regime in which runs end, by two of their numbers."""
