"""Stability: where training can come to rest, and the phase plane of one context."""
