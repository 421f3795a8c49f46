"""Footnote 4 of the post: does partial gaming last?"""

from sim.cli.study import main

if __name__ == "__main__":
    main(__file__)
