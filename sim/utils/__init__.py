"""Files, processes, intervals, progress and the format of numbers: what knows no model."""
