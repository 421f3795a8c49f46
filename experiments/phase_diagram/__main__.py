"""A phase diagram: the regime in which runs end, by two of their numbers."""

from sim.cli.study import main

if __name__ == "__main__":
    main(__file__)
