"""Copies of trained agents, deployed as Mesa agents beside monitors."""
