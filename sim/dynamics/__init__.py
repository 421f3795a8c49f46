"""Floor 1: arrays and equations; knows nothing of Hydra or Mesa."""
