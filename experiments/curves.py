"""Emergence curves of a sweep, by any of its axes, and paired differences (`sim.cli.curves`)."""

from sim.cli.curves import main

if __name__ == "__main__":
    main()
