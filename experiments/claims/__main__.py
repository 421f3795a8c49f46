"""The claims of the post, each run over its assumptions and judged: holds, depends or fails."""

from sim.cli.study import main

if __name__ == "__main__":
    main(__file__)
