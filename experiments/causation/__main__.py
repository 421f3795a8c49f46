"""What training-gaming causes: twins with and without it, its routes, and what a goal keeps."""

from sim.cli.study import main

if __name__ == "__main__":
    main(__file__)
