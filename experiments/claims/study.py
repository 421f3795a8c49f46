"""The study of the claims: its settings, its run, its tables, and the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from pydantic import Field, model_validator

from sim.cli.fields import Engine, Name, OneOrMore, Seed, Spec, Store
from sim.cli.outputs import records, write_json
from sim.specs.base import refuse
from sim.utils.files import atomic_write
from sim.utils.progress import parts_of

from .claim_results import Results, check_claims, run_claims, verdict_table
from .map import emergences, regime_map
from .measures import RunOptions
from .page import render_page
from .spec import Claim, claims_folder, load_claims


class Settings(Spec):
    """The study's own keys; their meaning and defaults are in config.yaml."""

    only: OneOrMore[Name]
    folder: Annotated[str, Field(min_length=1)] | None
    size: Annotated[float, Field(ge=0.001, le=1.0, strict=True)]
    seed: Seed
    engine: Engine
    store: Store
    page: str | None

    @model_validator(mode="after")
    def _page_is_html(self) -> Settings:
        if self.page is not None and not self.page.endswith(".html"):
            raise refuse(f"got {self.page!r}: must be a file that ends in .html", at="page")
        folder = Path(self.page or "").parent
        if folder.is_absolute() and not folder.is_dir():
            raise refuse(f"got {self.page!r}: there is no folder {str(folder)!r}", at="page")
        if self.page is not None and find_spec("jinja2") is None:
            line = 'needs Jinja2: pip install "training-gaming-sim[studies]"'
            raise refuse(line, at="page")
        return self

    def run_options(self) -> RunOptions:
        """Return where and at what size claims are run."""
        store = None if self.store is None else Path(self.store)
        return RunOptions(store=store, size=self.size, seed=self.seed, engine=self.engine)

    def selected_claims(self) -> list[Claim]:
        """Return the claims that are named, in the post's order.

        Raises:
            SpecError: There is no such claim, or one that cannot be used.
        """
        return load_claims(Path(self.folder) if self.folder else claims_folder(), self.only)


def check(settings: Settings) -> None:
    """Refuse claims that cannot be run.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    check_claims(settings.selected_claims(), settings.run_options())


def run(settings: Settings, *, progress: Callable[[float], None] | None = None) -> Results:
    """Run and judge the claims and, for a page, the scenarios and the map of regimes.

    Raises:
        SpecError: As for `check`.
    """
    claims, run_options = settings.selected_claims(), settings.run_options()
    if settings.page is None:
        return Results(run_claims(claims, run_options, progress=progress))
    of_claims, of_scenarios, of_map = parts_of(progress, [len(claims) + 4.0, 1.0, 1.0])
    return Results(
        run_claims(claims, run_options, progress=of_claims),
        emergences(run_options, progress=of_scenarios),
        regime_map(run_options, progress=of_map),
    )


#: The columns that the terminal shows.
SHOWN = {"claims": ("claim", "verdict", "share", "given", "title")}


def tables(results: Results) -> dict[str, pd.DataFrame]:
    """Return the table of verdicts, and for each claim a table with a row for each point."""
    return {
        "claims": verdict_table(results.claims),
        **{result.claim.name: result.frame() for result in results.claims},
    }


def summary(results: Results) -> Mapping[str, Any]:
    """Return the table of verdicts, ready for JSON."""
    return {"claims": records(verdict_table(results.claims))}


def write(results: Results, directory: Path, settings: Settings) -> None:
    """Write a JSON file for each claim and, if it is asked for, the page."""
    run_options = settings.run_options()
    for result in results.claims:
        write_json(directory / f"{result.claim.name}.json", result.to_dict(run_options))
    if settings.page is None or results.regimes is None:
        return
    text = render_page(results, run_options)
    page = Path(settings.page)
    page.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(page) as part:
        part.write_text(text, encoding="utf-8")
