"""Labels of assumptions and of comparisons, for figures and tables."""

from __future__ import annotations

from .compare import TOP, Comparison

#: The importance by method.
MEASURE = {"sobol": "total index", "morris": "mean effect, as a share of the largest"}


def label(key: str) -> str:
    """Return the label of an assumption: its key without the section."""
    for start in ("agent.initial.", "agent.", "training.", "scenario.contexts."):
        if key.startswith(start):
            return key[len(start) :].replace("_", " ")
    return key.replace("_", " ")


def title(compared: Comparison) -> str:
    """Return the headline of a comparison."""
    if not compared.sound:
        return "One of the two groups of outcomes does not vary: nothing to compare"
    first, second = (label(compared.top(side)["input"].iat[0]) for side in ("left", "right"))
    text = (
        f"both hang most on {first}"
        if first == second
        else f"training-gaming hangs most on {first}, the worst case on {second}"
    )
    inputs = min(TOP, len(compared.frame))
    return f"{text[0].upper()}{text[1:]}; {len(compared.shared)} of the top {inputs} are shared"
