"""Stability: where training can come to rest, and the phase plane of one context."""

from sim.cli.study import main

if __name__ == "__main__":
    main(__file__)
