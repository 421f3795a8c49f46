"""Floor 6: the command line. The only place that knows Hydra and OmegaConf."""

import sys
from pathlib import Path

from sim.utils.parallel import leave_on_ctrl_c

_STARTED = Path(getattr(sys.modules["__main__"], "__file__", None) or "")
if _STARTED.stem == "training-gaming" or "experiments" in _STARTED.absolute().parts[-3:]:
    leave_on_ctrl_c()
