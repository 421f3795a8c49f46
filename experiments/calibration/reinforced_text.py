"""What training on one prompt came to, in words that the numbers choose."""

from __future__ import annotations

import numpy as np
import pandas as pd

from experiments.calibration.measurements import RATES
from experiments.calibration.reinforced_predict import VARIANT, Reinforced
from sim.utils.format import join_words

#: Of rates, for readers.
RATE_NAMES = dict(
    zip(RATES, ("faking", "refusals in training", "refusals unmonitored"), strict=True)
)
#: Variants with at least this weight beside the best are not told apart from it.
_TOLD_APART = 0.05
#: Variants differ about a rate if their medians are further apart.
_DIFFERS = 0.2


def variant_name(row: pd.Series) -> str:
    """Return what a variant is called."""
    rule = str(row["rule"]).replace("_", " ")
    parts = [name for name, has in (("spread", row["spreads"]), ("leak", row["leaks"])) if has]
    return f"{rule} with {' and '.join(parts)}" if parts else rule


def variants_paragraph(found: Reinforced) -> str:
    """Say which variants fit, which cannot be told apart, and what so few rates bear."""
    table, stages = found.variants, found.stages
    best, count = table.iloc[0], int(table["rates"].iloc[0])
    said = [
        f"Of {len(table)} variants, fitted to {count} rates after training on "
        f"{stages.trained!r}, the best by AIC is {variant_name(best)}: chi-square "
        f"{best['chi2']:.1f} with {best['parameters']} parameters, the values learning at "
        f"{best['ratio']:.2g} times the rate of all else."
    ]
    rest = table[table["weight"] / best["weight"] >= _TOLD_APART].iloc[1:]
    if len(rest):
        names = [f"{variant_name(row)} ({row['chi2']:.1f})" for _, row in rest.iterrows()]
        said.append(f"Not told apart from it by AIC: {'; '.join(names)}.")
    worse = len(table) - 1 - len(rest)
    if worse:
        said.append(f"{worse} fit worse (AIC weight below {_TOLD_APART:g} of the best's).")
    if np.isinf(table["AICc"]).any():
        free = table.loc[np.isinf(table["AICc"]), "parameters"].min()
        said.append(
            f"{count} rates are too few for AICc with {free} parameters or more; "
            "AIC and BIC are of little worth there too."
        )
    out = table.loc[table["left_out_error"].idxmin()]
    said.append(
        f"Left-out rates are predicted to {table['left_out_error'].min():.2f} at best "
        f"({variant_name(out)}) and {table['left_out_error'].max():.2f} at worst (root mean "
        "square error)."
    )
    return " ".join(said)


def disagreements(found: Reinforced, *, rows: int | None = None) -> pd.DataFrame:
    """Return how far medians of variants lie apart, for each prompt and rate, furthest first.

    Only the first so many `rows` of predictions are looked at; all if None.

    Columns: `prompt`, `rate`, `lowest`, `highest`, and the variants that say so. Variants that
    AIC tells apart from the best are left out.
    """
    table = found.variants
    near = table[table["weight"] / table["weight"].max() >= _TOLD_APART]
    own = found.by_variant.merge(near[list(VARIANT)], on=list(VARIANT))
    own = own[own["prompt"].isin(found.predictions["prompt"].head(rows or len(own)))]
    apart = []
    for prompt, of in own[~own["measured"]].groupby("prompt", sort=False):
        for rate in RATES:
            low, high = of.loc[of[rate].idxmin()], of.loc[of[rate].idxmax()]
            apart.append(
                {
                    "prompt": prompt,
                    "rate": rate,
                    "lowest": float(low[rate]),
                    "highest": float(high[rate]),
                    "lowest_by": variant_name(low),
                    "highest_by": variant_name(high),
                }
            )
    frame = pd.DataFrame(
        apart, columns=["prompt", "rate", "lowest", "highest", "lowest_by", "highest_by"]
    )
    order = (frame["lowest"] - frame["highest"]).argsort(kind="stable")
    return frame.iloc[order].reset_index(drop=True)


def predictions_paragraph(found: Reinforced, *, most: int = 4) -> str:
    """Say how prompts come out that were never trained on, and what variants disagree about."""
    new = found.predictions[~found.predictions["measured"]]
    if new.empty:
        return "There is no prompt to predict: all were measured after training."
    said = []
    for _, row in new.head(most).iterrows():
        rates = [
            f"{name} {row[rate]:.2f} ({row[f'{rate}_low']:.2f} to {row[f'{rate}_high']:.2f})"
            for rate, name in RATE_NAMES.items()
        ]
        said.append(f"{row['prompt']!r}: {join_words(rates)}.")
    if len(new) > most:
        said.append(f"{len(new) - most} more are in the table.")
    apart = disagreements(found).iloc[0]
    name, range_ = RATE_NAMES[apart["rate"]], f"{apart['lowest']:.2f} to {apart['highest']:.2f}"
    if apart["highest"] - apart["lowest"] > _DIFFERS:
        said.append(
            f"Variants that fit alike differ most about {name} of {apart['prompt']!r}: {range_} "
            f"(by {apart['lowest_by']}, and by {apart['highest_by']}). That measurement would "
            "tell them apart."
        )
    else:
        said.append(f"Variants that fit alike nowhere differ by more than {_DIFFERS:g}.")
    return " ".join(said)


def title(found: Reinforced, *, rows: int | None = None) -> str:
    """Return what the figure of the first so many rows of predictions shows, in a line."""
    table = found.variants
    near = table[table["weight"] / table["weight"].max() >= _TOLD_APART]
    trained = found.stages.trained
    low, high = near["chi2"].min(), near["chi2"].max()
    fits = (
        f"After training on {trained!r}, {len(near)} of {len(table)} variants fit alike "
        f"(chi-square {low:.1f} to {high:.1f})"
        if len(near) > 1
        else f"After training on {trained!r}, one of {len(table)} variants fits best "
        f"(chi-square {low:.1f})"
    )
    apart = disagreements(found, rows=rows)
    if apart.empty:
        return fits
    worst = apart.iloc[0]
    about = f"{RATE_NAMES[worst['rate']]} of {worst['prompt']!r}"
    if worst["highest"] - worst["lowest"] > _DIFFERS:
        return f"{fits}, and put {about} between {worst['lowest']:.2f} and {worst['highest']:.2f}"
    return f"{fits}, and agree about the prompts not trained on within {_DIFFERS:g}"
