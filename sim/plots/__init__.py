"""Figures of results, one module for each."""
