"""Equilibria of training, their stability, and what becomes of them as a number is moved."""
