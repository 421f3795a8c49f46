"""The scenario alignment_faking fitted to published measurements."""
