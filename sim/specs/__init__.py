"""Floor 0: what a user writes. Data only, validated, frozen; knows nothing of arrays."""
