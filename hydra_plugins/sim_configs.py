"""Where the applications of this project find their configs: scenario, agent, training, ...

Hydra imports everything in `hydra_plugins` whenever any application starts, so nothing heavy is
imported here before it is needed.
"""

from __future__ import annotations

import sys

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin


class SimConfigs(SearchPathPlugin):
    """Adds the groups of configs/, and what all applications share, behind an application's own."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Add the two folders, if it is an application of this project that is starting."""
        if "sim.cli" not in sys.modules:
            return
        from sim.cli.sources import use_data_source
        from sim.specs.library import config_root

        use_data_source()
        search_path.append("sim", f"file://{config_root()}")
        search_path.append("sim", "pkg://sim.cli")
