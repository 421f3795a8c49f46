"""Archetypes of the post side by side: gaming, the worst case, and training logs."""
