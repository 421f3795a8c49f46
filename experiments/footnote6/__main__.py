"""Footnote 6 of the post: is behaviour before deployment representative of what comes after?"""

from sim.cli.study import main

if __name__ == "__main__":
    main(__file__)
