"""The claims of the post, tried on drawn cases and judged."""
