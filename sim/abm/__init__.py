"""Mesa models: training, whose agents are views on the arrays of the engines, and deployment."""
