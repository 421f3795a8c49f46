"""What training-gaming is evidence of: likelihood ratios under several priors, and their causes."""

from sim.cli.study import main

if __name__ == "__main__":
    main(__file__)
