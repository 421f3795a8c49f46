"""The library of configs: finding them by name, and reading their YAML."""

from __future__ import annotations

import re
from collections.abc import Hashable
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from sim.specs.errors import SpecError, nearest


def config_root() -> Path:
    """Return the folder of the config tree: inside the installed package, or of the checkout."""
    package = Path(str(files("sim")))
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def names(group: str) -> list[str]:
    """Return the names that the library has for a group (`scenario`, `agent`, ...), sorted."""
    return sorted(path.stem for path in (config_root() / group).glob("*.yaml"))


def scenarios() -> list[str]:
    """Return the names of the scenarios in the library."""
    return names("scenario")


def resolve(group: str, source: str | Path) -> Path:
    """Find a config by name in the library, or by path (with a separator or `.yaml`; SpecError)."""
    text = str(source)
    if text.endswith((".yaml", ".yml")) or "/" in text or "\\" in text:
        path = Path(source).expanduser()
        if not path.is_file():
            raise SpecError(f"{group}: there is no file {text!r}")
        return path
    if text not in names(group):
        raise SpecError(f"{group}: no {group} is named {text!r}; {nearest(text, names(group))}")
    return config_root() / group / f"{text}.yaml"


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping as Hydra would: 1e-3 is a number, a repeated key a SpecError."""
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: cannot be read ({error})") from None
    except yaml.YAMLError as error:
        raise SpecError(f"{path}: {_one_line(error)}") from None
    if not isinstance(data, dict):
        raise SpecError(f"{path}: must hold a mapping of keys to values")
    return data


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the two rules in which Hydra's differs from it."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in keys and key.value != "<<":
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key.value!r} is repeated", key.start_mark
                    )
                keys.add(key.value)
        return super().construct_mapping(node, deep=deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def _one_line(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    line = f"line {mark.line + 1}: " if mark else ""
    return f"{line}{getattr(error, 'problem', None) or error}".replace("\n", " ")
