"""The study of the claims: its settings, its run, its tables, and the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from pydantic import Field, model_validator

from sim.cli.fields import Engine, Name, OneOrMore, Seed, Spec, Store
from sim.cli.outputs import records, write_json
from sim.specs.base import refuse
from sim.specs.errors import SpecError
from sim.specs.prior import Prior
from sim.utils.files import atomic_write

from .cases import RunOptions, outcome_names
from .results import ClaimResult, Results, all_arms, assumptions_of_cases, run_claims
from .spec import Claim, check_names, claims_folder, load_claims

FOLDER = Path(__file__).parent


class Settings(Spec):
    """The study's own keys; their meaning and defaults are in config.yaml."""

    only: OneOrMore[Name]
    folder: Annotated[str, Field(min_length=1)] | None
    worlds: Annotated[str, Field(min_length=1)]
    set: dict[str, Any] | None  # Hydra lets no command add keys to a dictionary
    size: Annotated[float, Field(ge=0.01, le=4.0, strict=True)]
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
        """Return where and at what size cases are run."""
        store = None if self.store is None else Path(self.store)
        return RunOptions(store, self.size, self.seed, self.engine, self.set or {})

    def selected_claims(self) -> list[Claim]:
        """Return the claims that are named, in the post's order (SpecError)."""
        return load_claims(Path(self.folder) if self.folder else claims_folder(), self.only)


def check(settings: Settings) -> None:
    """Refuse claims that cannot be run (SpecError)."""
    assumptions, prior = assumptions_of_cases(), Prior.load(settings.worlds)
    options = settings.run_options()
    options.check(prior, assumptions)
    names = outcome_names(prior, assumptions)
    for claim in settings.selected_claims():
        check_names(claim, names, all_arms(), assumptions.axes)
        try:
            replace(options, fixed=claim.refuted.set).check(prior, assumptions)
        except SpecError as error:
            raise SpecError(f"claims/{claim.name}.refuted.{error}") from None


def run(settings: Settings, *, progress: Callable[[float], None] | None = None) -> Results:
    """Run all cases in the arms that the claims need, and judge the claims (SpecError)."""
    return run_claims(
        settings.selected_claims(),
        prior=Prior.load(settings.worlds),
        options=settings.run_options(),
        progress=progress,
    )


#: The columns that the terminal shows.
SHOWN = {"claims": ("claim", "quantifier", "verdict", "share", "effect", "contrast", "decides")}


def tables(results: Results) -> dict[str, pd.DataFrame]:
    """Return the table of verdicts, and the parts that assumptions have in each claim."""
    return {
        "claims": pd.DataFrame([_row(result) for result in results.claims]),
        "influences": pd.DataFrame(
            [
                {
                    "claim": result.claim.name,
                    "assumption": influence.key,
                    "index": influence.index,
                    "place": place,
                    "effect": effect,
                }
                for result in results.claims
                for influence in result.judgement.influences
                for place, effect in zip(influence.places, influence.effects, strict=True)
            ]
        ),
    }


def _row(result: ClaimResult) -> dict[str, Any]:
    claim, judgement = result.claim, result.judgement
    effects = {
        "effect": judgement.effect,
        "contrast": judgement.contrast,
        "difference": judgement.difference,
    }
    return {
        "claim": claim.name,
        "title": claim.title,
        "quantifier": claim.quantifier,
        "verdict": judgement.verdict,
        "share": judgement.share,
        "share_low": judgement.low,
        "share_high": judgement.high,
        "near_defaults": judgement.near_defaults,
        **{
            f"{name}{end}": getattr(effect, part)
            for name, effect in effects.items()
            for end, part in (("", "estimate"), ("_low", "low"), ("_high", "high"))
        },
        "cases": judgement.effect.cases,
        "undefined": judgement.undefined,
        "decides": judgement.axes[0],
        "and": judgement.axes[1],
    }


def summary(results: Results) -> Mapping[str, Any]:
    """Return the table of verdicts, ready for JSON."""
    return {
        "claims": records(tables(results)["claims"]),
        "cases": results.cases,
        "failed": results.failed,
        "arms": {name: arm.says for name, arm in results.arms.items()},
    }


def write(results: Results, directory: Path, settings: Settings) -> None:
    """Write a JSON file for each claim and, if it is asked for, the page."""
    for result in results.claims:
        judgement = asdict(result.judgement)
        judgement |= {name: judgement[name].tolist() for name in ("surface", "density")}
        data = {**result.claim.model_dump(mode="json"), "judgement": judgement}
        write_json(directory / f"{result.claim.name}.json", data)
    if settings.page is None:
        return
    from .page import render_page

    page = Path(settings.page)
    page.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(page) as part:
        part.write_text(render_page(results, settings.run_options()), encoding="utf-8")
