"""From training-gaming to the worst case: how a population narrows, condition by condition."""

from sim.cli.study import main

if __name__ == "__main__":
    main(__file__)
