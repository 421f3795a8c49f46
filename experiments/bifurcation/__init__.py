"""A bifurcation diagram: where training can come to rest, along one number."""
