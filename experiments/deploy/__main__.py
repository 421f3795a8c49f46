"""What becomes of deployed copies: takeovers, catches, dormancy, and what coordination does."""

from sim.cli.study import main

if __name__ == "__main__":
    main(__file__)
