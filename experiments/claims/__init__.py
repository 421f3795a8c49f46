"""The claims of the post, run over assumptions and judged."""
