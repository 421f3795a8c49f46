"""Morris and Sobol indices of assumptions, for training-gaming and for the worst case."""
