"""The study of evidence: likelihood ratios of hypotheses under several priors, and their causes."""
