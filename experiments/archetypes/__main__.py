"""Archetypes of the post side by side: gaming, the worst case, and training logs."""

from sim.cli.study import main

if __name__ == "__main__":
    main(__file__)
