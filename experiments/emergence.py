"""The main job: from a scenario to emergence curves (`sim.cli.emergence`)."""

from sim.cli.emergence import main

if __name__ == "__main__":
    main()
