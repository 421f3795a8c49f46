"""The claims of the post as commands: what they can be told, what they say and leave behind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import DictConfig
from rich.box import SIMPLE
from rich.table import Column, Table

from experiments.claims.figure import claim_figure
from experiments.claims.figure_beside import beside_figure
from experiments.claims.map import emergences, regime_map
from experiments.claims.measures import How
from experiments.claims.readings import judged_readings, reading_text
from experiments.claims.report.page import report_page
from experiments.claims.spec import Claim, claims_folder, load_claims
from experiments.claims.study import (
    Answer,
    check,
    command_of,
    condition_text,
    run_claims,
    share_text,
    verdict_text,
)
from experiments.claims.verdicts import Rule
from sim.cli.compose import plain, read_place
from sim.cli.help import keys_of
from sim.cli.outputs import records, write_figure, write_frame, write_json
from sim.dynamics.engines.registry import get_engine
from sim.result import versions
from sim.simulation import MOST_SEED
from sim.specs.errors import SpecError, check_whole, nearest
from sim.sweeps.design import is_number
from sim.utils.files import atomic_write
from sim.utils.progress import parts_of

#: The keys of configs/claims.yaml with their defaults, for the help ...
OWN = {
    "only=[]": "names of claims, [footnote4,picture]; none: all of them",
    "claims=null": "their folder; null: experiments/claims",
    "size=1.0": "share of the points and agents that is run",
    "seed=0": "of designs and runs",
    "engine=auto": "numpy, numba, or auto for the fastest that is installed",
    "store=outputs/claims-sweeps": "where runs are kept; null: nowhere",
}
#: ... and of configs/report.yaml.
OF_REPORT = {**OWN, "page=outputs/report.html": "the file that is written"}
KEYS = keys_of(OWN)
REPORT_KEYS = keys_of(OF_REPORT)
#: A thousandth of the points is the least that is run.
_LEAST_SIZE = 0.001


@dataclass(frozen=True)
class Asked:
    """What a command asks for.

    Attributes:
        claims: The claims.
        how: How they are run.
        page: Where the report is written; None if there is none.
    """

    claims: list[Claim]
    how: How
    page: Path | None = None

    def described(self) -> dict[str, Any]:
        """Return what was asked for, for a provenance."""
        return {
            "claims": {claim.name: claim.model_dump(mode="json") for claim in self.claims},
            "size": self.how.size,
            "seed": self.how.seed,
            "engine": self.how.engine,
            "versions": versions(),
        }


def claims_help(job: str) -> str:
    """Return the help of the commands that ask claims."""
    own = OF_REPORT if job == "report" else OWN
    what = (
        "the post claim by claim, as one HTML file that opens from disk."
        if job == "report"
        else "the claims of the post, each run over its assumptions and judged."
    )
    return "\n".join(
        [
            f"experiments/{job}.py: {what}",
            "",
            "Settings are given as key=value.",
            f"  python experiments/{job}.py only=footnote4",
            "",
            *(f"  {key:30s} {meaning}" for key, meaning in own.items()),
            "",
            "== Claims ==",
            *(f"  {claim.name:14s} {claim.title}" for claim in load_claims(claims_folder())),
            "",
            f"Writes into a directory below outputs/{job}; hydra.run.dir=DIR chooses another.",
        ]
    )


def read(config: DictConfig) -> Asked:
    """Check what the config of experiments/claims.py asks for, before anything is run.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    return _read(config, KEYS)


def read_report(config: DictConfig) -> Asked:
    """Check what the config of experiments/report.py asks for; errors as `read`."""
    return _read(config, REPORT_KEYS)


def _read(config: DictConfig, keys: Sequence[str]) -> Asked:
    own = plain(config)
    for key in own:
        if key not in keys:
            raise SpecError(f"{key}: unknown key; {nearest(key, keys)}")
    folder = claims_folder() if own["claims"] is None else Path(str(own["claims"]))
    size = own["size"]
    if not is_number(size) or not _LEAST_SIZE <= size <= 1.0:
        raise SpecError(f"size: got {size!r}: must be a share from {_LEAST_SIZE:g} to 1")
    check_whole("seed", own["seed"], minimum=0, maximum=MOST_SEED)
    get_engine(own["engine"])
    place = read_place(own["store"])
    wanted = own["only"] if isinstance(own["only"], list) else [own["only"]]
    how = How(
        store=None if place is None else Path(place),
        size=float(size),
        seed=own["seed"],
        engine=own["engine"],
    )
    claims = load_claims(folder, [str(name) for name in wanted])
    check(claims, how)
    page = own.get("page")
    if "page" in keys and (not isinstance(page, str) or not page.endswith(".html")):
        raise SpecError(f"page: got {page!r}: must be a file that ends in .html")
    return Asked(claims, how, None if page is None else Path(page))


def ask(asked: Asked, directory: Path, *, progress: Callable[[float], None]) -> list[Answer]:
    """Run claims, and leave behind what each came to as soon as it is known.

    Writes NAME.json, NAME.csv (a row for each point) and NAME.svg for each claim, and claims.csv,
    summary.json and provenance.json for all of them.
    """
    found = []
    for answer in run_claims(asked.claims, asked.how, progress=progress):
        write_answer(directory, answer, asked.how)
        found.append(answer)
    frame = claims_frame(found)
    write_frame(directory / "claims.csv", frame)
    write_json(directory / "summary.json", {"claims": records(frame)})
    write_json(directory / "provenance.json", asked.described())
    return found


def write_report(
    asked: Asked, directory: Path, *, progress: Callable[[float], None]
) -> tuple[list[Answer], Path]:
    """Ask the claims, and write the page beside what `ask` leaves behind."""
    assert asked.page is not None
    of_claims, of_scenarios, of_map = parts_of(progress, [len(asked.claims) + 4.0, 1.0, 1.0])
    found = ask(asked, directory, progress=of_claims)
    page = report_page(
        found,
        asked.how,
        scenarios=emergences(asked.how, progress=of_scenarios),
        regimes=regime_map(asked.how, progress=of_map),
    )
    asked.page.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(asked.page) as part:
        part.write_text(page, encoding="utf-8")
    return found, asked.page


def write_answer(directory: Path, found: Answer, how: How) -> None:
    """Write what a claim came to."""
    name = found.claim.name
    write_frame(directory / f"{name}.csv", found.frame())
    write_json(directory / f"{name}.json", answer_data(found, how))
    write_figure(directory / name, claim_figure(found))
    beside = beside_figure(found)
    if beside is not None:
        write_figure(directory / f"{name}_beside", beside[0])


def answer_data(found: Answer, how: How) -> dict[str, Any]:
    """Return a claim with its verdict and numbers, as JSON has them."""
    claim, judged = found.claim, found.judged
    share = None if judged.kind == "untried" else judged.share
    return {
        "name": claim.name,
        "title": claim.title,
        "passage": claim.passage,
        "says": claim.says,
        "means": claim.means,
        "command": command_of(claim, how),
        "verdict": judged.kind,
        "text": verdict_text(found),
        "points": judged.points,
        "given": int(judged.given.sum()),
        "true": int(judged.true.sum()),
        "share": share,
        "share_low": judged.low,
        "share_high": judged.high,
        "enough": judged.enough,
        "undefined": judged.undefined,
        "rule": _rule_data(judged.rule),
        "given_where": [condition_text(one, claim) for one in claim.given],
        "test": found.conditions(),
        "read_otherwise": [
            {
                "says": reading.says,
                "given": int(other.given.sum()),
                "true": int(other.true.sum()),
                "text": reading_text(reading, other),
            }
            for reading, other in judged_readings(found)
        ],
        "numbers": records(found.numbers()),
        "runs": found.measured.runs,
    }


def _rule_data(rule: Rule | None) -> dict[str, Any] | None:
    if rule is None:
        return None
    return {
        "splits": [vars(split) for split in rule.splits],
        "joined": rule.joined,
        "balanced_accuracy": rule.balanced,
        "true_inside": rule.inside,
        "true_outside": rule.outside,
        "judged_on": rule.judged_on,
        "unseen": rule.unseen,
    }


def claims_frame(found: Sequence[Answer]) -> pd.DataFrame:
    """Return a row for each claim."""
    return pd.DataFrame(
        [
            {
                "claim": one.claim.name,
                "title": one.claim.title,
                "verdict": one.judged.kind,
                "share": one.judged.share,
                "share_low": one.judged.low,
                "share_high": one.judged.high,
                "given": int(one.judged.given.sum()),
                "points": one.judged.points,
                "runs": one.measured.runs,
                "text": verdict_text(one),
            }
            for one in found
        ]
    )


def claims_table(found: Sequence[Answer]) -> Table:
    """Lay the verdicts out for a terminal."""
    table = Table(
        Column("claim", no_wrap=True),
        Column("verdict", no_wrap=True),
        Column("true at", justify="right", no_wrap=True),
        Column("of points", justify="right", no_wrap=True),
        Column("title"),
        box=SIMPLE,
        title="The claims of the post",
        title_justify="left",
    )
    for one in found:
        judged = one.judged
        share = "–" if judged.kind == "untried" else share_text(judged.share)
        given = f"{int(judged.given.sum()):,}"
        table.add_row(one.claim.name, judged.kind, share, given, one.claim.title)
    return table
