"""Behaviour before and after deployment, and what the shift between them is owed to."""
