"""The library of configs: finding them by name, and reading their YAML."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from copy import deepcopy
from functools import lru_cache
from importlib.resources import files
from itertools import chain
from pathlib import Path
from typing import Any, NoReturn, cast

import yaml

from sim.specs.errors import SpecError, nearest

#: Groups whose files are data, each with the keys that such a file sets.
DATA_GROUPS = {
    "scenario": ("agent", "scenario", "training"),
    **{name: (name,) for name in ("agent", "training", "prior", "oversight", "deployment")},
    **{name: (name,) for name in ("executor", "thresholds", "measured")},
}
#: How deep a file may nest, and how many values it may have, each alias counted as what it repeats.
DEEPEST = 50
MOST_VALUES = 1_000_000


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


def world_name(source: str | Path) -> tuple[str, str] | None:
    """Return the prior and the number of a world's name (`worlds/7`); None of any other name."""
    prior, _, number = str(source).partition("/")
    is_file = number.endswith((".yaml", ".yml"))
    return (prior, number) if number and not is_file and prior in names("prior") else None


def read_data(group: str, path: Path) -> dict[str, Any]:
    """Read a file of a group in `DATA_GROUPS`.

    It sets its own keys and nothing else: what would have Hydra act, call code or look something up
    is refused, whoever reads the file (SpecError).
    """
    data, package = read_yaml(path), package_of(path)
    start = f"{group}: {path}"
    if package not in (None, "_global_", "_group_", group):
        allowed = f"_global_, or {group} (or leave it out)"
        raise SpecError(f"{start}: @package: got {package!r}: must be {allowed}")
    own = DATA_GROUPS[group]
    for key in map(str, data):
        if key in ("hydra", "defaults") or key.startswith(("hydra.", "hydra/")):
            raise SpecError(f"{start}: {key}: is Hydra's; a file of {group} is data")
        if package == "_global_" and key not in own:
            raise SpecError(
                f"{start}: {key}: unknown key of a file of {group}; {nearest(key, own)}"
            )
    _check_plain(data, start)
    return data


def package_of(path: Path) -> str | None:
    """Return what the first line of a config says of its place: `# @package _global_`."""
    header = re.match(r"\s*#\s*@package\b(.*)", path.read_text(encoding="utf-8"))
    return header and header[1].strip()


def _check_plain(node: object, path: str, *, at_top: bool = True) -> None:
    """Refuse data that names code, or that has links."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            place = f"{path}: {key}" if at_top else f"{path}.{key}"
            if key == "_target_":
                raise SpecError(f"{place}: a file of data names no code")
            _check_plain(value, place, at_top=False)
    elif isinstance(node, list):
        for value in node:
            _check_plain(value, path, at_top=False)
    elif isinstance(node, str) and "${" in node:
        raise SpecError(f"{path}: got {node!r}: must have no links (YAML has &name and *name)")


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping as Hydra would: 1e-3 is a number, a repeated key a SpecError."""
    try:
        data = deepcopy(_parse(path.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:
        raise SpecError(f"{path}: {_one_line(error)}") from None
    except (OSError, ValueError) as error:  # no UTF-8, or a number of 5,000 digits
        raise SpecError(f"{path}: cannot be read ({error})") from None
    if not isinstance(data, dict):
        raise SpecError(f"{path}: must hold a mapping of keys to values")
    return data


@lru_cache(maxsize=64)
def _parse(text: str) -> object:
    """Return the data of a YAML text; what a library's files say is parsed once."""
    return yaml.load(text, Loader=_Loader)


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, for plain data of a bounded size, with the rules of Hydra's."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = 0
        self._values: dict[yaml.Node, int] = {}  # of each node that is complete

    def compose_node(self, parent: Any, index: Any) -> yaml.Node:
        """Compose a node; refuse one that is no plain data, or is too much of it."""
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        self._depth += 1
        if self._depth > DEEPEST:
            self._refuse(f"nests more than {DEEPEST} deep", event)
        node = cast(yaml.Node, super().compose_node(parent, index))
        self._depth -= 1
        if isinstance(event, yaml.AliasEvent):
            if node not in self._values:
                self._refuse(f"*{event.anchor} stands inside what it repeats", event)
            return node
        if node.tag not in _PLAIN_TAGS:
            self._refuse(f"could not determine a constructor for the tag {node.tag!r}", event)
        below = node.value if isinstance(node, yaml.CollectionNode) else ()
        parts = chain(*below) if isinstance(node, yaml.MappingNode) else below
        self._values[node] = 1 + sum(self._values[part] for part in parts)
        if self._values[node] > MOST_VALUES:
            self._refuse(f"has more than {MOST_VALUES:,} values, aliases counted", event)
        return node

    def _refuse(self, problem: str, event: Any) -> NoReturn:
        raise yaml.composer.ComposerError(None, None, problem, event.start_mark)

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


_PLAIN_TAGS = {
    f"tag:yaml.org,2002:{name}"
    for name in ("null", "bool", "int", "float", "str", "seq", "map", "merge")
}
# As for Hydra, a date is text.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def _one_line(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    line = f"line {mark.line + 1}: " if mark else ""
    return f"{line}{getattr(error, 'problem', None) or error}".replace("\n", " ")
