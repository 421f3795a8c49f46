"""An animated emergence: agents part as they are trained, some into gaming."""

from sim.cli.study import main

if __name__ == "__main__":
    main(__file__)
