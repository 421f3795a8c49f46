"""The scenario fitted to published measurements of alignment faking, and what that tests."""

from sim.cli.study import main

if __name__ == "__main__":
    main(__file__)
