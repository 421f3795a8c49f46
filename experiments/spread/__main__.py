"""Spread: how far gaming goes beyond what it is for."""

from sim.cli.study import main

if __name__ == "__main__":
    main(__file__)
