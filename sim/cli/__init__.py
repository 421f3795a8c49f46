"""Floor 6: the command line. The only place that knows Hydra and OmegaConf."""
