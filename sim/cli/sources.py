"""Where configs come from: files, of which those of data are read as data.

A file of a data group (scenario, agent, training, ...) may come from anybody, and is chosen by its
name. It sets its own keys (`sim.specs.library.read_data`). `scenario=PRIOR/NUMBER` is a world drawn
from the file of a prior. A user's own experiment, and the primary config, may set anything of
Hydra's: they are code.
"""

from __future__ import annotations

import posixpath
from pathlib import Path

from hydra._internal.core_plugins import file_config_source
from hydra._internal.core_plugins.structured_config_source import StructuredConfigSource
from hydra._internal.sources_registry import SourcesRegistry
from hydra.plugins.config_source import ConfigResult
from omegaconf import OmegaConf

from sim.specs.errors import SpecError
from sim.specs.library import DATA_GROUPS, config_root, package_of, read_data

#: What commands load unasked: besides what Hydra's store holds, no file takes the place of these.
SHARED = ("application", "executor/local", "executor/dask")


class FileConfigSource(file_config_source.FileConfigSource):
    """Hydra's source of configs in a folder, which knows what is data.

    It has the name of Hydra's, whose registry takes no other name for the same scheme.
    """

    def load_config(self, config_path: str) -> ConfigResult:
        """Load a config.

        Raises:
            SpecError: It is a file of data, and sets what is not its own.
        """
        group = data_group(config_path)
        if world := self._world(config_path):
            from sim.sweeps.world_sample import draw_world  # SciPy, which other configs do without

            config = OmegaConf.create(draw_world(*world).to_data())
            header: dict[str, str | None] = {"package": "_global_"}
            return ConfigResult(self.provider, self.full_path(), config, header)
        if group is None:
            return super().load_config(config_path)
        path = Path(self.path, self._normalize_file_name(config_path))
        data, package = read_data(group, path), package_of(path)
        if group == "scenario" and package is None and "scenario" in data:
            raise SpecError(f"scenario: {path}: its first line must be # @package _global_")
        config = OmegaConf.create(data)
        return ConfigResult(self.provider, self.full_path(), config, {"package": package})

    def is_config(self, config_path: str) -> bool:
        """Return whether there is a config, and not in the place of one of the commands' own.

        Else a folder of scenarios could bring what a command loads unasked, such as its sweeper.
        """
        if self._world(config_path):
            return True
        if config_path in SHARED and Path(self.path) != config_root():
            return False
        stored = StructuredConfigSource(provider="schema", path="structured://")
        return super().is_config(config_path) and not stored.is_config(config_path)

    def _world(self, config_path: str) -> tuple[Path, str] | None:
        """Return the prior in this folder and the number of scenario=PRIOR/NUMBER; else None."""
        group, _, name = config_path.strip("/").partition("/")
        prior, _, number = name.partition("/")
        path = Path(self.path, "prior", f"{prior}.yaml")
        return (path, number) if group == "scenario" and number and path.is_file() else None


def data_group(config_path: str) -> str | None:
    """Return the data group of a config path, however it is written; None if it is in none.

    In capitals as well: where a disk knows no case, `Scenario/NAME` is a file of `scenario`.
    """
    for path in (config_path, posixpath.normpath(config_path)):
        group = path.strip("/").split("/")[0].lower()
        if group in DATA_GROUPS:
            return group
    return None


def use_data_source() -> None:
    """Have Hydra take files from `FileConfigSource`, in this process."""
    SourcesRegistry.instance().types["file"] = FileConfigSource
