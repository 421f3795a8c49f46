"""Spread: how far gaming goes beyond what it is for."""
