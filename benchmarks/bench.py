"""How fast the engines are and what sweeps cost; writes docs/benchmarks.md and the README's table.

make bench                         everything, some minutes
make bench ARGS="--only engines"   or one of `PARTS`; then nothing is written
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import platform
import re
import tempfile
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

import analysis
import deployments
import engines
import evidence
import explorable
import funnel
import sensitivity
import sweeps
from sim.result import versions
from sim.utils.parallel import usable_processors

ROOT = Path(__file__).parent.parent
README, PAGE = ROOT / "README.md", ROOT / "docs" / "benchmarks.md"
PARTS = ("engines", "sweeps", "analysis", "worst_case", "evidence", "sensitivity", "explorable")


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PARTS)
    only = parser.parse_args().only
    console, rounds, costs = Console(), None, None
    tables: list[Table] = []
    if only in (
        None,
        "sweeps",
    ):  # first: a process starts with the peak memory of the one that made it
        console.print("sweeps: two of these commands take a while")
        with tempfile.TemporaryDirectory() as folder:
            costs = sweeps.measure(Path(folder))
        tables.append(sweeps.sweeps_table(costs))
        console.print(tables[-1])
    if only in (None, "analysis"):
        with tempfile.TemporaryDirectory() as folder:
            tables.append(analysis.analyses_table(analysis.measure(Path(folder))))
        console.print(tables[-1])
    if only in (None, "worst_case"):
        with tempfile.TemporaryDirectory() as folder:
            tables.append(funnel.funnels_table(funnel.measure(Path(folder))))
            console.print(tables[-1])
            tables.append(deployments.deployments_table(deployments.measure(Path(folder))))
        console.print(tables[-1])
    if only in (None, "evidence"):
        with tempfile.TemporaryDirectory() as folder:
            tables.append(evidence.evidence_costs(evidence.measure(Path(folder))))
        console.print(tables[-1])
    if only in (None, "sensitivity"):
        with tempfile.TemporaryDirectory() as folder:
            tables.append(sensitivity.sensitivity_costs(sensitivity.measure(Path(folder))))
        console.print(tables[-1])
    if only in (None, "explorable"):
        with tempfile.TemporaryDirectory() as folder:
            tables.append(explorable.explorable_table(explorable.measure(Path(folder))))
        console.print(tables[-1])
    if only in (None, "engines"):
        with Progress(console=Console(stderr=True)) as progress:
            task = progress.add_task("engines", total=engines.ROUNDS)
            rounds = engines.race(
                engines.contenders(), engines.ROUNDS, lambda: progress.advance(task)
            )
        threads = engines.two_threads(engines.ROUNDS)
        raced = engines.race_table(rounds)
        raced.caption = f"Two threads of the Numba engine: {threads:.2f} times one."
        for table in (raced, engines.scaling_table(), engines.choices_table()):
            tables.append(table)
            console.print(table)
    if rounds is not None and costs is not None:
        PAGE.write_text(_page(tables), encoding="utf-8")
        text = README.read_text(encoding="utf-8")
        README.write_text(_between_marks(text, _summary(rounds, threads, costs)), encoding="utf-8")
        console.print(f"written: {PAGE.relative_to(ROOT)}, {README.relative_to(ROOT)}")


def _summary(rounds: list[dict[str, float]], threads: float, costs: sweeps.Sweeps) -> str:
    """Return the table of the README."""
    rows = [
        "| | agent-context-steps/s, one core | times one Mesa object per agent |",
        "|---|---:|---:|",
    ]
    for name in (engines.NUMBA, engines.NUMPY, engines.MESA):
        speed = median(r[name] for r in rounds)
        times = engines.ratio(rounds, name, engines.MESA)
        rows.append(f"| {name} | {speed / 1e6:,.2f} million | {times:,.0f} |")
    alone = engines.ratio(rounds, engines.NUMBA, engines.ARITHMETIC)
    rows += [
        "",
        f"The Numba engine runs at {alone:.2f} of the speed of the exponentials and divisions of "
        f"the equations alone. Two threads: {threads:.2f} times one. A map of 32,000 runs × 4,000 "
        f"steps from the command line: {costs.map.seconds:.0f} s and "
        f"{costs.map.memory / 2**30:.1f} GiB on "
        f"{usable_processors()} cores; the same command again: {costs.resume.seconds:.1f} s; "
        f"quantile curves over it: {costs.curves:.1f} s. A million runs × 100 steps, "
        f"`record=summary`: {costs.million.seconds:.0f} s, {costs.million.memory / 2**30:.1f} GiB. "
        f"One Hydra job per run: {1e3 * costs.job:.0f} ms and {costs.job_files[0]:.0f} files each.",
    ]
    return "\n".join(rows)


def _between_marks(text: str, table: str) -> str:
    pattern = r"(?<=<!-- made by make bench -->\n).*?(?=\n<!-- until here -->)"
    replaced, count = re.subn(pattern, lambda _: table, text, flags=re.DOTALL)
    assert count == 1, "README.md has lost its marks"
    return replaced


def _page(tables: list[Table]) -> str:
    """Return the page with all tables."""
    packages = ", ".join(f"{name} {version}" for name, version in versions().items())
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`; speeds drift with the machine, ratios are of one run.",
        "",
        f"{platform.machine()}, {usable_processors()} processors, Python "
        f"{platform.python_version()}, {packages}.",
    ]
    for table in tables:
        lines += ["", f"## {table.title}", "", *_markdown(table)]
        if table.caption:
            lines += ["", str(table.caption)]
    return "\n".join(lines) + "\n"


def _markdown(table: Table) -> list[str]:
    """Return a table's lines in Markdown."""
    columns = [[str(cell) for cell in column.cells] for column in table.columns]
    heads = [str(column.header) for column in table.columns]
    rules = ["---:" if column.justify == "right" else "---" for column in table.columns]
    return [
        f"| {' | '.join(heads)} |",
        f"|{'|'.join(rules)}|",
        *(f"| {' | '.join(row)} |" for row in zip(*columns, strict=True)),
    ]


if __name__ == "__main__":
    main()
