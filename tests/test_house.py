"""The rules of the house, and its budgets.

A rule yields what breaks it. Exceptions stand in budgets.yaml, counted by rule and file: a count
that rises fails, and so does one that could be lower. `python tests/test_house.py --write` counts
again; a number that has grown is then a line of the change, for a person to judge.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import networkx as nx
import yaml

import sim

ROOT = Path(__file__).parent.parent
BUDGETS = ROOT / "tests" / "budgets.yaml"
GENERATED = "# Below: counted by `python tests/test_house.py --write`; the shorter, the better.\n"
HOUSE: dict[str, Any] = yaml.safe_load(BUDGETS.read_text(encoding="utf-8"))
#: What tests are measured against.
PRODUCT = ("sim", "hydra_plugins", "experiments", "notebooks", "benchmarks")
FLOOR_OF = {room: floor for floor, rooms in enumerate(HOUSE["floors"]) for room in rooms.split()}
ROOMS_OF = {name: rooms for names, rooms in HOUSE["packages"].items() for name in names.split()}
EMPTY_NAMES, EQUATIONS = (set(HOUSE[key].split()) for key in ("empty names", "equations"))
ONE_PLACE: dict[str, str] = HOUSE["one place"]
#: Calls whose arguments are texts of errors and help.
SPEAKING = re.compile(r"(?i)(error|refuse|warn|stop|fail|help)\w*$|\bfield$")
DEFINITIONS = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


class Module:
    """A file of Python, parsed once."""

    def __init__(self, name: str, text: str | None = None) -> None:
        self.name = name
        self.text = (ROOT / name).read_text(encoding="utf-8") if text is None else text
        self.tree = ast.parse(self.text)
        self.nodes = list(ast.walk(self.tree))
        self.lines = self.text.count("\n")
        self.dotted = name[:-3].replace("/", ".").removesuffix(".__init__")
        self.room = name.split("/")[1] if name.count("/") > 1 else "top"
        #: Every definition with the node of its docstring.
        self.docstrings = {
            node: node.body[0].value
            for node in self.nodes
            if isinstance(node, DEFINITIONS) and ast.get_docstring(node) is not None
        }
        #: Line and dotted name of everything imported, wherever in the file; but for methods called
        #: `plot`, which reach up to the pictures when they are called.
        self.imports = list(self._imports())

    def _imports(self) -> Iterator[tuple[int, str]]:
        plots = [n for n in self.nodes if isinstance(n, ast.FunctionDef) and n.name == "plot"]
        left_out = {below for plot in plots for below in ast.walk(plot)}
        package = self.name.split("/")[:-1]
        for node in self.nodes:
            if isinstance(node, ast.Import) and node not in left_out:
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node not in left_out:
                start = package[: len(package) - node.level + 1] if node.level else []
                base = [*start, *([node.module] if node.module else [])]
                yield from ((node.lineno, ".".join([*base, a.name])) for a in node.names)


@cache
def modules(*folders: str) -> list[Module]:
    paths = sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return [module_named(path.relative_to(ROOT).as_posix()) for path in paths]


module_named = cache(Module)


@cache
def studies() -> list[str]:
    return sorted(path.parent.name for path in (ROOT / "experiments").glob("*/__init__.py"))


Check = Callable[[Module], Iterator[tuple[int, str]]]
#: A rule, by name: the folders that it reads, and what yields the offences of a module.
RULES: dict[str, tuple[tuple[str, ...], Check]] = {}


def rule(name: str, *folders: str) -> Callable[[Check], Check]:
    def register(check: Check) -> Check:
        RULES[name] = (folders, check)
        return check

    return register


@rule("1 the library names no study, claim, footnote or passage", "sim")
def named_studies(module: Module) -> Iterator[tuple[int, str]]:
    own = [name for name in studies() if name not in library_words()]
    words = re.compile(rf"(?i)(?<![a-z])({'|'.join(own)}|claims?|passages?)(?![a-z])")
    cited = re.compile(r"(?i)\b(footnote|example|difference)[ _]?\d|\bexperiments[./]\w")
    for line, text in enumerate(module.text.splitlines(), 1):
        yield from ((line, match[0]) for match in cited.finditer(text))
    for node in module.nodes:
        value = node.value if isinstance(node, ast.Constant) else identifier(node)
        if isinstance(value, str) and node not in module.docstrings.values():
            yield from ((node.lineno, match[0]) for match in words.finditer(value))


@cache
def library_words() -> set[str]:
    """Return the names of studies that are words of the library, too."""
    return {part for module in modules("sim") for part in module.dotted.split(".")} | {
        *sim.__all__,
        *sim.Agent.model_fields,
    }


@rule("2 a room imports from floors below", "sim")
def wrong_floors(module: Module) -> Iterator[tuple[int, str]]:
    for line, name in module.imports if module.name != "sim/__init__.py" else ():
        first, *parts = name.split(".")
        room = parts[0] if parts and parts[0] in FLOOR_OF else "top"
        if first in (*PRODUCT[1:], "tests") or (
            first == "sim" and room != module.room and FLOOR_OF[room] >= FLOOR_OF[module.room]
        ):
            yield line, name


@rule("2 a package is kept to its rooms", "sim")
def strayed_packages(module: Module) -> Iterator[tuple[int, str]]:
    ifs = [n for n in module.nodes if isinstance(n, ast.If) and dotted(n.test) == "TYPE_CHECKING"]
    types = {line for node in ifs for line in range(node.lineno, (node.end_lineno or 0) + 1)}
    for line, name in module.imports:
        rooms = ROOMS_OF.get(name.split(".")[0], module.room).split()
        if module.room not in rooms and line not in types:
            yield line, name


@rule("5 settings of a study have no defaults", "experiments")
def defaults(module: Module) -> Iterator[tuple[int, str]]:
    for node in module.nodes:
        if isinstance(node, ast.ClassDef) and node.name.endswith("Settings"):
            for field in node.body:
                value = field.value if isinstance(field, ast.AnnAssign) else None
                keywords = value.keywords if isinstance(value, ast.Call) else []
                named = any(str(keyword.arg).startswith("default") for keyword in keywords)
                if value is not None and (named or not keywords or value.args):
                    yield field.lineno, ast.unparse(field)


@rule("6 Python composes no English", "sim", "experiments", "hydra_plugins")
def sentences(module: Module) -> Iterator[tuple[int, str]]:
    waiting: list[ast.AST] = [module.tree]
    left_out = set(module.docstrings.values())
    while waiting:
        node = waiting.pop()
        if node in left_out or isinstance(node, ast.Raise) or SPEAKING.search(call_of(node)):
            continue
        text = ""
        if isinstance(node, ast.JoinedStr | ast.Constant):
            parts = node.values if isinstance(node, ast.JoinedStr) else [node]
            text = "".join(str(p.value) if isinstance(p, ast.Constant) else "{}" for p in parts)
        if text.rstrip().endswith(".") and len(re.findall(r"\b[a-z]+\b", text)) >= 4:
            yield node.lineno, text[:40]
        else:
            waiting += ast.iter_child_nodes(node)


@rule("7 one setter, one formatter, one loop", "sim", "experiments", "notebooks")
def copies(module: Module) -> Iterator[tuple[int, str]]:
    for node in module.nodes:
        kind = ""
        if isinstance(node, ast.For | ast.comprehension):
            first = [*getattr(node.iter, "args", []), None][0]
            if call_of(node.iter).endswith(".split") and getattr(first, "value", "") == ".":
                kind = "setter"
            elif call_of(node.iter) in ("course", "train"):
                kind = "loop"
        elif isinstance(node, ast.While):
            inner = {call_of(below).rpartition(".")[2] for below in ast.walk(node)}
            kind = "loop" if "advance" in inner else ""
        elif isinstance(node, ast.FunctionDef) and node.returns:
            arguments = [ast.unparse(a.annotation) for a in node.args.args if a.annotation]
            is_number = len(arguments) in (1, 2) and arguments[0] in ("float", "float | None")
            kind = "formatter" if is_number and ast.unparse(node.returns) == "str" else ""
        if kind and not module.name.startswith(ONE_PLACE[kind]):
            yield getattr(node, "lineno", 0), kind


@rule("8 the equations stand in one room", "sim", "experiments", "hydra_plugins", "notebooks")
def equations(module: Module) -> Iterator[tuple[int, str]]:
    for node in module.nodes if not module.name.startswith("sim/dynamics/") else ():
        if isinstance(node, ast.FunctionDef) and node.name.strip("_") in EQUATIONS:
            yield node.lineno, node.name


def call_of(node: ast.AST) -> str:
    """Return the dotted name of what a node calls; empty if it calls nothing that has one."""
    return dotted(node.func) if isinstance(node, ast.Call) else ""


def dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def identifier(node: ast.AST) -> str:
    """Return the name that a node gives to something; empty if it gives none."""
    if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
        return node.id if isinstance(node, ast.Name) else node.attr
    if isinstance(node, ast.arg):
        return node.arg
    return node.name if isinstance(node, ast.FunctionDef | ast.ClassDef) else ""


@rule("9 a name is a noun of the field", *PRODUCT)
def empty_names(module: Module) -> Iterator[tuple[int, str]]:
    specs = [n for n in module.nodes if isinstance(n, ast.ClassDef) and n.bases]
    bodies = [spec.body for spec in specs if dotted(spec.bases[0]).endswith("Spec")]
    keys = {field.target for body in bodies for field in body if isinstance(field, ast.AnnAssign)}
    for node in module.nodes:
        name = identifier(node)
        if name and name.strip("_").lower() in EMPTY_NAMES and node not in keys:
            yield node.lineno, name


@rule("9 a docstring begins with what is done", *PRODUCT)
def vague_docstrings(module: Module) -> Iterator[tuple[int, str]]:
    for node, docstring in module.docstrings.items():
        first = str(docstring.value).strip().splitlines()[0]
        vague = re.match(r"(What|Who|Whose|How|Where|When|Which|Why|That|Tell)\b", first)
        if first[-1] not in ".!?:" or (vague and not isinstance(node, ast.Module)):
            yield docstring.lineno, first[:40]
    if module.tree not in module.docstrings:
        yield 1, "no docstring"


@rule("what code may not do", *PRODUCT)
def forbidden(module: Module) -> Iterator[tuple[int, str]]:
    calls = [(n.lineno, call_of(n)) for n in module.nodes if isinstance(n, ast.Call)]
    for ban in HOUSE["forbidden"]:
        if not re.match(ban["in"], module.name) or re.match(ban.get("not in", "$."), module.name):
            continue
        for line, name in [*module.imports, *calls]:
            if re.fullmatch(ban["pattern"], name):
                yield line, name
    for node in module.nodes:
        named = {keyword.arg for keyword in node.keywords} if isinstance(node, ast.Call) else set()
        if "allow_pickle" in named or (call_of(node) == "yaml.load" and named != {"Loader"}):
            yield node.lineno, call_of(node)


# ------------------------------------------------------------------------------ rules of the whole


def circles() -> Iterator[tuple[str, str]]:
    """Yield every module that imports itself by way of others, with these."""
    graph = nx.DiGraph()
    known = {module.dotted: module for module in modules(*PRODUCT)}
    for module in modules(*PRODUCT):
        for _, name in module.imports if module.dotted != "sim" else ():
            target = name if name in known else name.rpartition(".")[0]
            if target in known and target != module.dotted:
                graph.add_edge(module.dotted, target)
    for circle in nx.strongly_connected_components(graph):
        for name in circle if len(circle) > 1 else ():
            yield known[name].name, " ".join(sorted(circle))


#: Files that may name any study.
LISTING = re.compile(r"[A-Z]+\.md|pyproject\.toml|docs/|tests/(test_(studies|house)\.py|\w+\.yaml)")


def strayed_studies() -> Iterator[tuple[str, str]]:
    naming = re.compile(rf"\bexperiments[/.]({'|'.join(studies())})\b|\b(footnote\d)\b")
    for name, text in texts().items():
        for match in naming.finditer(text) if not LISTING.match(name) else ():
            study = match[1] or match[2]
            if not re.match(rf"experiments/{study}/|tests/test_{study}", name):
                yield name, study


@cache
def texts() -> dict[str, str]:
    """Return the texts of the checkout by name, without what .gitignore leaves out."""
    lines = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    left_out = {".git", *(line.strip("/ ") for line in lines if line.strip("/ "))}
    waiting, files = [ROOT], {}
    while waiting:
        for path in sorted(waiting.pop().iterdir()):
            if path.name in left_out or path.suffix in (".pyc", ".png"):
                continue
            if path.is_dir():
                waiting.append(path)
            else:
                files[path.relative_to(ROOT).as_posix()] = path.read_text(encoding="utf-8")
    return files


# In pieces, so that this file does not hold what it looks for.
MACHINE = re.compile(
    "pypi" + r"\.org|python" + r"hosted\.org|anaconda" + r"\.org|npmjs" + r"\.org|find" + "-links|"
    "(?<!--no-emit-)index" + r"-url|https?://[^\s/]+(/[^\s/]+)*/" + r"simple\b|"
    r"(?<![\w.])/(root|work|home/\w+|Users/\w+)(?=/|\b(?![\w-]))"
)


def machine_names() -> Iterator[tuple[str, str]]:
    for name, text in texts().items():
        yield from ((name, match[0]) for match in MACHINE.finditer(text))


WHOLE = {
    "3 no circles of imports": circles,
    "4 a study is named in its folder, its tests, README and docs": strayed_studies,
    "no registry, and no place on a machine": machine_names,
}


@cache
def offences() -> dict[str, dict[str, list[str]]]:
    """Return what breaks the rules, by rule and file."""
    broken: dict[str, dict[str, list[str]]] = {}
    for name, (folders, check) in RULES.items():
        for module in modules(*folders):
            for line, offence in check(module):
                broken.setdefault(name, {}).setdefault(module.name, []).append(f"{line}: {offence}")
    for name, check_all in WHOLE.items():
        for place, offence in check_all():
            broken.setdefault(name, {}).setdefault(place, []).append(offence)
    return broken


# ----------------------------------------------------------------------------------------- budgets


def lines_of(*folders: str) -> int:
    return sum(module.lines for module in modules(*folders))


def sizes() -> Iterator[tuple[str, str, int, list[int]]]:
    """Yield what budgets limit: kind, place, size, and the least and greatest size allowed."""
    lines, share = HOUSE["lines"], round(100 * lines_of("tests") / lines_of(*PRODUCT))
    yield "lines beyond the budget", "sim", lines_of("sim"), [0, lines["sim"]]
    yield "lines beyond the budget", "tests", share, [0, lines["tests in percent of the product"]]
    for study in studies():
        limit, folder = lines["studies"].get(study, lines["a study"]), f"experiments/{study}"
        yield "lines beyond the budget", folder, lines_of(folder), [0, limit]
    files = [m for m in modules(*PRODUCT) if not m.name.endswith(("__init__.py", "__main__.py"))]
    for folder, count in Counter(module.name.rpartition("/")[0] for module in files).items():
        yield "modules too many in a folder", folder, count, [0, HOUSE["modules of a folder"]]
    for module in files:
        if module.name not in HOUSE["exempt"]:
            range_ = HOUSE["lines of a module"]
            yield "lines too many or too few in a module", module.name, module.lines, range_


def exceptions() -> dict[str, dict[str, int]]:
    """Return all exceptions as they are now: how far beyond the budgets, offences by file."""
    counts: dict[str, dict[str, int]] = {}
    for kind, place, size, (least, greatest) in sizes():
        if not least <= size <= greatest:
            counts.setdefault(kind, {})[place] = max(least - size, size - greatest)
    for name, by_file in offences().items():
        counts[name] = {place: len(by_file[place]) for place in sorted(by_file)}
    return counts


def test_every_rule_and_budget_holds_but_for_its_exceptions() -> None:
    counts, excepted, complaints = exceptions(), HOUSE["exceptions"], []
    for name in {**counts, **excepted}:
        now, before = counts.get(name, {}), excepted.get(name, {})
        for place in {**now, **before}:
            count, limit = now.get(place, 0), before.get(place, 0)
            # Sizes change all the time, so theirs need not be exact.
            if count > limit or (count < limit and (name in offences() or not count)):
                found = "; ".join(offences().get(name, {}).get(place, []))
                complaints.append(f"{name}: {place}: {count}, excepted {limit}: {found}")
    assert not complaints, "\n".join([*complaints, "python tests/test_house.py --write"])


# ------------------------------------------------------------------------- that rules see anything

#: What breaks each rule once, and what is like it and does not.
PLANTED: dict[Check, list[tuple[str, int]]] = {
    named_studies: [('x = "footnote 4"', 1), ("def claims(): ...", 1), ("evidence_of = 1", 1)],
    wrong_floors: [("from sim.cli import tables", 1), ("import experiments", 1)],
    strayed_packages: [("def f():\n    import hydra.core", 1), ("import numpy", 0)],
    defaults: [
        ("class Settings(Spec):\n    a: int = 3", 1),
        ("class Settings(Spec):\n    a: int = Field(default=3)", 1),
        ("class Settings(Spec):\n    a: int = Field(ge=3)\n    b: int", 0),
    ],
    sentences: [
        ('x = f"{n} of the agents kept their value."', 1),
        ('"""Two of the agents kept their value."""\nraise E(f"all of the agents left {x}.")', 0),
        ('x = f"{n} agents."', 0),
    ],
    copies: [
        ('for part in key.split("."):\n    pass', 1),
        ("for stop in course(engine):\n    pass\nfor x in y.split():\n    pass", 1),
        ("def show(x: float) -> str: ...", 1),
    ],
    equations: [("def softmax(x): ...", 1), ("y = softmax(x)", 0)],
    empty_names: [
        ("def f(told):\n    x.found = 1", 2),
        ("for one in agents:\n    agent = one.left", 1),
        ("class A(Spec):\n    found: int", 0),
    ],
    vague_docstrings: [('"""M."""\ndef f():\n    """What it is."""', 1), ('"""M."""', 0), ("", 1)],
    forbidden: [
        *(("import random", 1), ("x = np.random.rand()", 1), ("random = 1", 0), ("print(1)", 1)),
        *(("import pickle", 1), ("np.load(x, allow_pickle=True)", 1), ("eval(x)", 1)),
        *(("yaml.load(x)", 1), ("yaml.load(x, Loader=SafeLoader)", 0)),
    ],
}


def test_every_rule_sees_what_breaks_it() -> None:
    assert {check for _, check in RULES.values()} == set(PLANTED)
    for check, samples in PLANTED.items():
        for text, count in samples:
            assert len(list(check(Module("sim/analysis/sample.py", text)))) == count, text
    places = {"cd /" + "work": True, "frame/work/x": False, "the /" + "worker": False}
    for text, is_place in {**places, "'/" + "home/me/x'": True, "a/" + "root": False}.items():
        assert bool(MACHINE.search(text)) == is_place, text


if __name__ == "__main__":
    assert sys.argv[1:] == ["--write"], "python tests/test_house.py --write"
    head = BUDGETS.read_text(encoding="utf-8").partition(GENERATED)[0]
    counts = yaml.safe_dump({"exceptions": exceptions()}, sort_keys=False, width=200)
    BUDGETS.write_text(head + GENERATED + counts, encoding="utf-8")
