"""Engines: the same program, the same trajectory, at different speeds."""
