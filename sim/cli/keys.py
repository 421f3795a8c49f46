"""The keys that configs share, and where the primary configs of the library's commands are."""

from __future__ import annotations

from pathlib import Path

#: The folder of the primary configs (emergence.yaml, curves.yaml), and of what all share.
CONFIGS = Path(__file__).parent

#: The keys of specs, which runs and studies share ...
SPEC_KEYS = ("scenario", "agent", "training")
#: ... of a run, as in emergence.yaml (`do` are interventions) ...
RUN_KEYS = (
    *SPEC_KEYS,
    "do",
    "agents",
    "seed",
    "record_every",
    "engine",
    "precision",
)
#: ... of a sweep, which a single run does without ...
SWEEP_KEYS = ("record", "executor")
ALL_KEYS = (*RUN_KEYS, *SWEEP_KEYS)
#: ... and of what comes after training.
AFTER_KEYS = ("oversight", "deployment", "thresholds")
#: The options of each executor (configs/executor), besides its name.
EXECUTOR_KEYS = {"local": ("threads",), "dask": ("address", "workers")}
