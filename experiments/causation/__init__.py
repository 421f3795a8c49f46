"""The study of causation: twins with and without gaming, its routes, and what a goal keeps."""
