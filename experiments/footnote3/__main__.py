"""Footnote 3 of the post: does a penalty remove visible gaming, or teach it to hide?"""

from sim.cli.study import main

if __name__ == "__main__":
    main(__file__)
