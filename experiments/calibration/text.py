"""The page on the fit to published measurements: docs/validation.md, from a run's summary."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from experiments.calibration.findings import Summary, findings, variant_name
from sim.utils.format import join_words, shown

#: An interval that takes this share of its range says nothing.
_FLAT = 0.6
_FITS = ("by condition", "by condition, with scatter", "by rates")


def page(summary: Summary) -> str:
    """Return docs/validation.md: every number is from the summary."""
    parts = [
        "# Validation",
        "",
        "The scenario `alignment_faking` against published measurements. This page is written by "
        "`make validation` from the run's summary ([validation.json](validation.json)); nobody "
        "edits it.",
        "",
        *(f"- {sentence}" for sentence in findings(summary)),
        "",
        *_data(summary),
        *_fits(summary),
        *_mixture(summary),
        *_errors(summary, "errors", "Rows that no fit has seen"),
        *_errors(summary, "test_errors", "The table `test`"),
        *_reinforced(summary),
        *_of_facts(summary),
        *_undecided(summary),
        *_left_out(summary),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _data(summary: Summary) -> Iterable[str]:
    yield "## Data"
    yield ""
    rows = join_words([f"{n} of {name.replace('_', ' ')}" for name, n in summary["rows"].items()])
    yield (
        f"Rows of prompts: {rows}. What the numbers are and where they are quoted from: "
        "[data/README.md](../data/README.md)."
    )
    yield ""
    yield from _table(
        ("file", "SHA-256"),
        [(f"`{one['path']}`", f"`{one['sha256'][:16]}`") for one in summary["sources"].values()],
    )
    nothing = summary["told_nothing"]
    if nothing:
        names = "; ".join(nothing)
        yield (
            f"Of {len(nothing)} prompts no edit tells anything, so they are as the default "
            f"prompt of their setting in fits by condition: {names}."
        )
        yield ""


def _fits(summary: Summary) -> Iterable[str]:
    if not summary["fits"]:
        return
    yield "## Three fits"
    yield ""
    yield (
        "*By condition*: the setting and what was changed in a prompt tell all three rates, by "
        "weighted least squares with the published errors. *With scatter*: the same, with the "
        "scatter between prompts at which chi-square is what its degrees of freedom are. *By "
        "rates*: two rates place a prompt (how strongly the contested value is held, how readily "
        "training comes to mind), and the third tests the model. No row has a parameter of its own "
        "in the first two; in the third its place is worked out from its own rates. Rates are "
        f"means over all queries; training and facts below meet {summary['kinds']} kinds of query."
    )
    yield ""
    yield from _table(
        ("fit", "parameters", "of them shared", "chi-square", "dof", "per dof"),
        [
            (name, one["parameters"], one["shared"], f"{one['chi2']:.1f}", one["dof"],
             f"{one['per_dof']:.2f}")
            for name, one in summary["fits"].items()
        ],
    )  # fmt: skip
    yield "Mean of (residual / standard error)², by setting and rate:"
    yield ""
    columns = sorted({key for one in summary["fits"].values() for key in one["by_setting"]})
    yield from _table(
        ("setting and rate", *summary["fits"]),
        [
            (key.replace("_", " "),
             *(f"{one['by_setting'].get(key, 0.0):.2f}" for one in summary["fits"].values()))
            for key in columns
        ],
    )  # fmt: skip
    if summary["errors"]:
        yield "![Predicted against published](images/calibration.png)"
        yield ""
    for name, one in summary["fits"].items():
        yield f"Furthest off, {name}:"
        yield ""
        yield from _table(
            ("row", "setting", "prompt", "rate", "published", "model", "standard errors"),
            [
                (w["row"], w["setting"].replace("_", " "), w["condition"].replace("|", "/"),
                 w["rate"].replace("_", " "), f"{w['measured']:.3f}", f"{w['model']:.3f}",
                 shown(w["residual"]))
                for w in one["worst"][:6]
            ],
        )  # fmt: skip
    yield "### Parameters"
    yield ""
    yield (
        "Intervals are at 95 %, wider by √(chi-square per dof) where that is above 1: by the "
        "profile of the likelihood, or (curvature) from the curvature at the best fit. Logarithms "
        "are fitted of rationality and of the spread of values."
    )
    yield ""
    yield from _table(
        ("fit", "parameter", "fitted", "low", "high", "interval"),
        [
            (p["fit"], f"`{p['name']}`", shown(p["fitted"], 2), shown(p["low"], 2),
             shown(p["high"], 2), p["interval"] + (", at a bound" if p["at_bound"] else ""))
            for p in summary["parameters"]
            if p["fit"] != _FITS[0]
        ],
    )  # fmt: skip
    yield "Those of the fit by condition with published errors are in parameters.csv of a run."
    yield ""


def _mixture(summary: Summary) -> Iterable[str]:
    if summary["mixture"]:
        yield "## The response mixture"
        yield ""
        yield (
            "If gaming answers comply and nothing is gamed where nothing is monitored, the gap is "
            "the faking rate times the unmonitored refusal rate. What this crude product explains "
            "of the variance of the gap, with nothing fitted:"
        )
        yield ""
        yield from _table(
            ("setting", "rows", "explained", "chi-square per row"),
            [
                (m["setting"].replace("_", " "), m["rows"], shown(m["explained"], 2),
                 shown(m["per_dof"], 2))
                for m in summary["mixture"]
            ],
        )  # fmt: skip
    if summary["mechanisms"]:
        yield "The model by rates with some of its mechanisms, each fitted anew:"
        yield ""
        yield from _table(
            ("mechanisms", "chi-square", "dof", "per dof"),
            [
                (m["model"], f"{m['chi2']:.1f}", m["dof"], f"{m['per_dof']:.2f}")
                for m in summary["mechanisms"]
            ],
        )
        yield "![What closes the gap](images/mechanisms.png)"
        yield ""


def _errors(summary: Summary, key: str, title: str) -> Iterable[str]:
    rows = summary[key]
    if not rows:
        return
    yield f"## {title}"
    yield ""
    if key == "errors":
        yield (
            f"Errors of predictions in {summary['folds']}-fold cross-validation (root mean "
            "square), and the mean of (error / published standard error)². *From the prompt*: "
            "setting and edits are known. *From two rates*: faking and unmonitored refusals are "
            "known, the third rate is asked."
        )
        yield ""
    measures = ("rmse_af_reasoning", "rmse_refusal_training", "rmse_refusal_unmonitored",
                "rmse_gap")  # fmt: skip
    yield from _table(
        ("task", "predictor", "setting", "faking", "training", "unmonitored", "gap",
         "chi-square per rate"),
        [
            (r["task"], r["predictor"], r["setting"].replace("_", " "),
             *(shown(r.get(name), 3) for name in measures), shown(r["chi2_per_rate"], 1))
            for r in rows
        ],
    )  # fmt: skip
    if key == "errors":
        yield "![Errors against rivals](images/cross_validation.png)"
        yield ""


def _reinforced(summary: Summary) -> Iterable[str]:
    rl = summary["rl"]
    if rl is None:
        return
    yield "## Training on one prompt"
    yield ""
    for paragraph in rl["said"]:
        yield paragraph
        yield ""
    columns = [
        name
        for name in ("chi2", "parameters", "rates", "ratio", "spread", "leak", "AIC", "AICc", "BIC",
                     "weight", "left_out_error")
        if name in rl["variants"][0]
    ]  # fmt: skip
    yield from _table(
        ("variant", *(name.replace("_", " ") for name in columns)),
        [(variant_name(row), *(_cell(row[name]) for name in columns)) for row in rl["variants"]],
    )
    rates = ("af_reasoning", "refusal_training", "refusal_unmonitored")
    yield "After training (medians, 95 % intervals over places, ratios and variants):"
    yield ""
    yield from _table(
        ("prompt", "measured after training", *(name.replace("_", " ") for name in rates)),
        [
            (row["prompt"], "yes" if row["measured"] else "no",
             *(f"{row[n]:.2f} ({row[f'{n}_low']:.2f} to {row[f'{n}_high']:.2f})" for n in rates))
            for row in rl["predictions"]
        ],
    )  # fmt: skip
    yield "![After training on one prompt](images/reinforced.png)"
    yield ""


def _of_facts(summary: Summary) -> Iterable[str]:
    if not summary["facts"]:
        return
    yield "## Further facts"
    yield ""
    yield from _table(
        ("fact", "published", "verdict", "the model's answer", "judged"),
        [
            (f["name"], f["published"], f"**{f['verdict']}**", f["answer"], f["judged"])
            for f in summary["facts"]
        ],
    )
    yield "![Further facts](images/facts.png)"
    yield ""


def _undecided(summary: Summary) -> Iterable[str]:
    """Say what the data cannot tell apart."""
    said = []
    for name in summary["fits"]:
        own = [p for p in summary["parameters"] if p["fit"] == name and p["edit"] is None]
        at = [f"`{p['name']}` ({shown(p['fitted'], 2)})" for p in own if p["at_bound"]]
        if at:
            said.append(f"At a bound, {name}: {join_words(at)}.")
        flat = [
            f"`{p['name']}` ({shown(p['low'], 2)} to {shown(p['high'], 2)})"
            for p in own
            if p["low"] is not None and p["high"] is not None
            and p["high"] - p["low"] > _FLAT * (p["greatest"] - p["least"])
        ]  # fmt: skip
        if flat:
            said.append(f"Hardly told by the data, {name}: {join_words(flat)}.")
        unseen = [f"`{p['name']}`" for p in own if p["interval"] == "none"]
        if unseen:
            said.append(f"Rates do not depend on it there, {name}: {join_words(unseen)}.")
    models = summary["mechanisms"]
    if models:
        whole = next(m for m in models if m["model"] == "all")
        alike = [
            m["model"].removeprefix("all but ")
            for m in models
            if m["model"].startswith("all but ") and m["chi2"] - whole["chi2"] < 3.84
        ]
        if alike:
            said.append(f"Chi-square rises by less than 3.84 without {join_words(alike)}.")
    rl = summary["rl"]
    if rl is not None:
        best = min(row["chi2"] for row in rl["variants"])
        names = [variant_name(row) for row in rl["variants"] if row["chi2"] < best + 1.0]
        if len(names) > 1:
            said.append(f"Within 1 of the least chi-square after training: {join_words(names)}.")
    if said:
        yield "## What the data cannot tell apart"
        yield ""
        for one in said:
            yield f"- {one}"
        yield ""


def _left_out(summary: Summary) -> Iterable[str]:
    if summary["skipped"]:
        yield "## Left out"
        yield ""
        for name, why in summary["skipped"].items():
            yield f"- {name}: {why}."
        yield ""


def _cell(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> Iterable[str]:
    yield "| " + " | ".join(str(cell) for cell in head) + " |"
    yield "|" + " --- |" * len(head)
    for row in rows:
        yield "| " + " | ".join(str(cell).replace("\n", " ") for cell in row) + " |"
    yield ""
