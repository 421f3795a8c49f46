"""The studies: a folder each, which `sim.cli.study` runs."""
