"""Equilibria of training, their stability, and their branches along one number."""
