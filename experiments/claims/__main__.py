"""The claims of the post, each tried on drawn cases and judged by its quantifier."""

from sim.cli.study import main

if __name__ == "__main__":
    main(__file__)
