"""Floor 3: Mesa worlds. Training, whose agents are views on the arrays of the engines."""
