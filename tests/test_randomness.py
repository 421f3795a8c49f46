"""Counter-based draws: published vectors, the right distribution, and streams that stay."""

from __future__ import annotations

import ast
import itertools
import math
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from sim.dynamics import randomness
from sim.dynamics.randomness import normal, rounds, seeds_of, stream_id, uniform_pair, words

ROOT = Path(__file__).parent.parent
PRODUCT = ("sim", "experiments", "hydra_plugins", "notebooks", "benchmarks")
#: By name, or by template: golden draws, or an example and its golden draw.
STREAMS = yaml.safe_load((ROOT / "tests" / "streams.yaml").read_text(encoding="utf-8"))
#: Known answers of Philox 4x32-10 (Random123, kat_vectors): counter, key, output.
KNOWN = [
    ("00000000" * 4, "00000000" * 2, "6627e8d5e169c58dbc57ac4c9b00dbd8"),
    ("ffffffff" * 4, "ffffffff" * 2, "408f276d41c83b0ea20bc7c66d5451fd"),
    ("243f6a8885a308d313198a2e03707344", "a4093822299f31d0", "d16cfe0994fdcceb5001e42024126ea1"),
]


def test_philox_gives_the_published_answers() -> None:
    for counter, key, answer in KNOWN:
        text = counter + key
        given = [np.uint64(int(text[i : i + 8], 16)) for i in range(0, len(text), 8)]
        found = rounds(*(np.array([word], np.uint64) for word in given))
        assert "".join(f"{int(word[0]):08x}" for word in found) == answer


# --------------------------------------------------------------------------------------- streams


class Names:
    """The names of streams in the code, as templates: {} stands for what is filled in.

    A name is a text, an f-string, a variable or a constant that holds one, or an argument; then it
    is what the function's callers give.
    """

    def __init__(self) -> None:
        paths = [path for folder in PRODUCT for path in sorted((ROOT / folder).rglob("*.py"))]
        self.trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in paths}
        self.parent: dict[ast.AST, ast.AST] = {}
        self.calls: dict[str, list[tuple[Path, ast.Call]]] = defaultdict(list)
        self.imported: dict[Path, dict[str, str]] = defaultdict(dict)
        for path, tree in self.trees.items():
            for node in ast.walk(tree):
                self.parent |= dict.fromkeys(ast.iter_child_nodes(node), node)
                if isinstance(node, ast.Call):
                    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                    self.calls[name].append((path, node))
                elif isinstance(node, ast.ImportFrom):
                    stem = (node.module or "").rpartition(".")[2]
                    self.imported[path] |= {alias.name: stem for alias in node.names}

    def find(self) -> set[str]:
        found: set[str] = set()
        for function in ("words", "uniform_pair", "normal"):
            for path, call in self.calls[function]:
                for keyword in call.keywords:
                    found |= self.of(path, keyword.value) if keyword.arg == "stream" else set()
        return found

    def of(self, path: Path, node: ast.AST) -> set[str]:
        if isinstance(node, ast.Constant):
            return {str(node.value)}
        if isinstance(node, ast.JoinedStr):
            parts = [self.of(path, part) for part in node.values]
            return {"".join(each) for each in itertools.product(*parts)}
        if isinstance(node, ast.FormattedValue):
            return self.of(path, node.value)
        scope = node
        while isinstance(node, ast.Name) and scope in self.parent:
            scope = self.parent[scope]
            if isinstance(scope, ast.FunctionDef | ast.Module):
                value = self.assigned(scope, node.id)
                if isinstance(value, ast.Constant | ast.JoinedStr):
                    return self.of(path, value)
            if isinstance(scope, ast.FunctionDef):
                arguments = [*scope.args.args, *scope.args.kwonlyargs]
                if node.id in [argument.arg for argument in arguments]:
                    return self.of_callers(path, scope, node.id) or {"{}"}
        return {"{}"}

    def assigned(self, scope: ast.AST, name: str) -> ast.AST | None:
        for node in getattr(scope, "body", []):
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
                return node.value
        return None

    def of_callers(self, path: Path, function: ast.FunctionDef, argument: str) -> set[str]:
        found: set[str] = set()
        positions = [each.arg for each in function.args.args if each.arg != "self"]
        for caller, call in self.calls[function.name]:
            if caller != path and self.imported[caller].get(function.name) != path.stem:
                continue
            given = dict(zip(positions, call.args, strict=False))
            given |= {str(keyword.arg): keyword.value for keyword in call.keywords}
            if argument in given:
                found |= self.of(caller, given[argument])
        return found


def test_the_streams_of_the_code_are_those_of_the_table() -> None:
    names = Names()
    assert names.find() == set(STREAMS)


def test_golden_draws_stay() -> None:
    for template, golden in STREAMS.items():
        for name, expected in (golden if isinstance(golden, dict) else {template: golden}).items():
            assert re.fullmatch(re.escape(template).replace(r"\{\}", ".+"), name)
            drawn = words(seed=7, stream=name, rows=3, step=5, draw=1)
            assert " ".join(f"{int(word):08x}" for word in drawn) == expected


# ----------------------------------------------------------------------------------------- draws


def test_a_draw_depends_on_what_it_is_for_and_on_nothing_else() -> None:
    settings: dict[str, Any] = {"seed": 3, "stream": "habit", "rows": np.arange(100), "step": 7}
    everyone = normal(**settings)
    assert normal(**settings | {"rows": [42, 7]}).tolist() == [everyone[42], everyone[7]]
    for key, value in (("seed", 4), ("stream", "x"), ("step", 8), ("draw", 1), ("seed", 3 + 2**32)):
        assert not np.any(normal(**settings | {key: value}) == everyone)


def test_seeds_of_runs_are_distinct_and_the_first_are_the_same_whatever_the_count() -> None:
    many = seeds_of(5, 3000)
    assert len(set(many)) == len(many) == 3000
    assert seeds_of(5, 7) == many[:7]
    assert seeds_of(5, 0) == ()
    assert all(type(seed) is int and 0 <= seed < 2**64 for seed in many)
    assert max(many) > 2**63 > min(many)


def test_different_seeds_have_no_seed_of_runs_in_common() -> None:
    """Neighbours, and the largest; a false alarm once in 10¹⁰ choices of constants."""
    every = [set(seeds_of(seed, 1000)) for seed in (*range(20), 2**32, 2**64 - 1)]
    assert len(set().union(*every)) == sum(map(len, every))


def test_seeds_of_runs_that_are_drawn_twice_count_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def repeats_itself(*, rows: np.ndarray[Any, Any], **_: object) -> tuple[Any, ...]:
        drawn = np.where(rows == 2, 1, rows).astype(np.uint64)
        return drawn, drawn, drawn, drawn

    monkeypatch.setattr(randomness, "words", repeats_itself)
    for count in range(5):
        expected = tuple(i * 2**32 + i for i in (0, 1, 3, 4))[:count]
        assert seeds_of(0, count) == expected


def test_streams_have_numbers_of_their_own() -> None:
    names = [f"agent.initial.values.v{i}" for i in range(2000)]
    assert len({stream_id(name) for name in names}) == len(names)


def test_normal_draws_are_those_of_box_and_muller() -> None:
    draw = {"seed": 1, "stream": "test", "rows": np.arange(9)}
    pairs = zip(*uniform_pair(**draw), normal(**draw), strict=True)
    for first, second, found in pairs:
        expected = math.sqrt(-2 * math.log(1 - first)) * math.cos(2 * math.pi * second)
        assert found == pytest.approx(expected, rel=1e-12)
