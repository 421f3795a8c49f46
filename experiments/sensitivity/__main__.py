"""Which assumptions matter: for training-gaming, and for the worst case."""

from sim.cli.study import main

if __name__ == "__main__":
    main(__file__)
