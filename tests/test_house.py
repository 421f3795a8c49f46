"""The house: floors that import only downwards, tools kept to their rooms, nothing of a machine."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SIM = ROOT / "sim"
MODULES = sorted(SIM.rglob("*.py"))
#: Rooms by floor (docs/architecture.md); a file at the top of `sim` is on the floor `run`.
FLOORS = {
    "utils": 0.5,
    "specs": 0,
    "dynamics": 1,
    "run": 2,
    "abm": 3,
    "sweeps": 3,
    "analysis": 4,
    "stability": 3.5,
    "plots": 5,
    "cli": 7,
}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def room_of(module: tuple[str, ...]) -> str:
    """Return the room of a module of `sim`, given as its parts after `sim`."""
    return module[0] if (SIM / module[0]).is_dir() else "run"


@cache
def imports(path: Path) -> list[tuple[str, ...]]:
    """Return the dotted name of everything that a file imports, wherever in it, in parts."""
    package = path.relative_to(ROOT).parent.parts
    found: list[tuple[str, ...]] = []
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found += [tuple(alias.name.split(".")) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            base = (*start, *(node.module or "").split("."))
            found += [tuple(part for part in (*base, alias.name) if part) for alias in node.names]
    return found


@cache
def calls(path: Path) -> list[tuple[str, ast.Call]]:
    """Return every call in a file, with the dotted name of what is called."""
    nodes = ast.walk(tree_of(path))
    return [(ast.unparse(node.func), node) for node in nodes if isinstance(node, ast.Call)]


# ---------------------------------------------------------------------------------------- floors


def test_every_room_has_a_floor() -> None:
    rooms = {path.parent.name for path in SIM.glob("*/__init__.py")}
    assert rooms <= set(FLOORS)
    assert len(MODULES) > 20


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_file_imports_only_from_its_room_and_from_floors_below(path: Path) -> None:
    if path == SIM / "__init__.py":
        return
    room = room_of(path.relative_to(SIM).with_suffix("").parts)
    for imported in imports(path):
        if imported[0] == "sim":
            assert len(imported) > 1, "the package as a whole stands above all floors"
            other = room_of(imported[1:])
            assert other == room or FLOORS[other] < FLOORS[room], ".".join(imported)


#: Which rooms may import a package.
KEPT = {
    "hydra": {"cli"},
    "omegaconf": {"cli"},
    "networkx": {"abm"},
    "mesa": {"abm"},
    "matplotlib": {"plots", "cli"},
    "numpy": set(FLOORS) - {"specs"},
    "xarray": set(FLOORS) - {"specs"},
    "pandas": {"sweeps", "analysis", "stability", "plots", "cli"},
    "pyarrow": {"sweeps"},
    "duckdb": {"sweeps"},
    "fsspec": {"sweeps"},
    "scipy": {"dynamics", "run", "sweeps", "analysis", "stability", "utils"},
    "distributed": {"sweeps"},
    "SALib": {"analysis"},
    "numba": {"dynamics"},
    "llvmlite": {"dynamics"},
}


@pytest.mark.parametrize("package", KEPT)
def test_a_package_is_imported_only_in_its_rooms(package: str) -> None:
    users = {path for path in MODULES if package in {imported[0] for imported in imports(path)}}
    rooms = {room_of(path.relative_to(SIM).with_suffix("").parts) for path in users}
    assert rooms
    assert rooms <= KEPT[package], sorted(map(name_of, users))


# ------------------------------------------------------------------------------- what code may do


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_random_numbers_come_from_one_file(path: Path) -> None:
    if path == SIM / "dynamics" / "randomness.py":
        return
    imported = {name[:2] for name in imports(path)} | {name[:1] for name in imports(path)}
    assert not imported & {("random",), ("secrets",), ("numpy", "random")}
    assert not re.search(r"\b(np|numpy)\.random\b", ast.unparse(tree_of(path)))


#: They import modules that the project's own tables and the user's own folders name.
IMPORTERS = {SIM / "__init__.py", SIM / "cli" / "study.py"}
FORBIDDEN_IMPORTS = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "instantiate", "yaml.unsafe_load"}
CODE = sorted(
    path
    for folder in ("sim", "hydra_plugins", "experiments", "benchmarks", "notebooks")
    for path in (ROOT / folder).rglob("*.py")
)


@pytest.mark.parametrize("path", CODE, ids=name_of)
def test_no_code_is_run_from_data(path: Path) -> None:
    for imported in imports(path):
        assert imported[0] not in FORBIDDEN_IMPORTS
        assert imported[-1] not in {"instantiate", "import_module"}
    for name, call in calls(path):
        assert name not in FORBIDDEN_CALLS
        last = name.rsplit(".", 1)[-1]
        assert last != "instantiate"
        assert last != "import_module" or path in IMPORTERS
        assert "allow_pickle" not in {keyword.arg for keyword in call.keywords}
        if name == "yaml.load":
            assert {keyword.arg for keyword in call.keywords} == {"Loader"}


def test_only_the_command_line_prints() -> None:
    printing = {path for path in MODULES for name, _ in calls(path) if name == "print"}
    assert {path.parent.name for path in printing} <= {"cli"}


@pytest.mark.parametrize("path", CODE, ids=name_of)
def test_a_module_says_what_it_is_for(path: Path) -> None:
    described = ast.get_docstring(tree_of(path))
    assert described
    assert described.splitlines()[0].endswith((".", "!", "?", ":"))


# ---------------------------------------------------------------------------- nothing of a machine


def tracked() -> Iterator[Path]:
    """Yield the files of the checkout, without what .gitignore leaves out."""
    lines = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    left_out = {".git", *(line.strip("/ ") for line in lines if line.strip("/ "))}
    waiting = [ROOT]
    while waiting:
        for path in sorted(waiting.pop().iterdir()):
            if path.name in left_out or path.suffix == ".pyc":
                continue
            if path.is_dir():
                waiting.append(path)
            else:
                yield path


# In pieces, so that this file does not hold what it looks for.
HOSTS = [
    "pypi" + ".org",
    "python" + "hosted.org",
    "anaconda" + ".org",
    "npmjs" + ".org",
    "index" + "-url",
    "find" + "-links",
    r"https?://[^/\s]+(/[^/\s]+)*/" + r"simple\b",
]
PLACES = [
    rf"(?<![\w.])/{place}(?=/|\b(?![\w-]))" for place in ("root", "work", r"home/\w+", r"Users/\w+")
]


@pytest.mark.parametrize("pattern", [*HOSTS, *PLACES])
def test_no_file_names_a_registry_or_a_place_on_a_machine(pattern: str) -> None:
    left_out = "--no-emit-" + "index" + "-url"  # it keeps the host out of the lock
    searched = 0
    for path in tracked():
        text = path.read_bytes().decode("utf-8", errors="ignore")
        found = re.search(pattern, text.replace(left_out, ""))
        assert found is None, f"{name_of(path)}: {found}"
        searched += 1
    assert searched > 50


@pytest.mark.parametrize(
    ("text", "is_place"),
    [
        ("/" + "root/x", True),
        ("cd /" + "work", True),
        ("'/" + "home/me/data'", True),
        ("frame/work/x", False),
        ("the /" + "worker", False),
        ("a/" + "root", False),
    ],
)
def test_a_place_on_a_machine_is_known_from_a_word(text: str, is_place: bool) -> None:
    assert any(re.search(pattern, text) for pattern in PLACES) == is_place
