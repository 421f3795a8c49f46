"""A bifurcation diagram: where training can come to rest, along one number."""

from sim.cli.study import main

if __name__ == "__main__":
    main(__file__)
