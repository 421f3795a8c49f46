"""The figure of a phase diagram: regimes are named where they are, in ordered colours."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np

from sim.analysis.phase_diagram import Axis
from sim.analysis.regimes import REGIMES
from sim.plots.phase_diagram import (
    MEANINGS,
    REGIME_COLOURS,
    axis_label,
    number_label,
    phase_diagram,
    roomiest,
)
from test_phase_diagram import full, partly_failed, refined, small


def texts(figure: Any) -> list[str]:
    (ax,) = figure.axes
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    return [text.get_text() for text in (*ax.texts, *figure.texts, figure._suptitle)] + legend


def test_every_regime_is_named_and_the_large_ones_where_they_are() -> None:
    diagram = refined()
    figure = phase_diagram(diagram)
    (ax,) = figure.axes
    inside = {text.get_text(): text.get_position() for text in ax.texts}
    assert {"none", "local"} <= set(inside)
    for name in set(inside) & set(REGIMES):
        column = np.abs(diagram.x.numbers - inside[name][0]).argmin()
        row = np.abs(diagram.y.numbers - inside[name][1]).argmin()
        assert diagram.regime[row, column] == REGIMES.index(name)
    everything = "\n".join(texts(figure))
    for name in REGIMES:
        assert re.search(rf"^{name}: \d+ % of the map\n{MEANINGS[name]}$", everything, re.MULTILINE)
    assert "share of training contexts that are gamed" in everything.replace("\n", " ")
    assert f"{diagram.runs:,} of 2,178 runs computed" in everything
    assert "copyright: what becomes of training-gaming" in everything
    assert "scheming" not in everything.lower()
    assert ax.get_xlabel() == "awareness\n(situational awareness, a logit)"
    assert (ax.get_xlim(), ax.get_ylim()) == ((-10.0, -2.0), (0.0, 3.0))
    (dots,) = ax.lines
    assert len(dots.get_xdata()) == diagram.evaluated.sum()
    for bare in (phase_diagram(full()), phase_diagram(diagram, points=False)):
        assert not bare.axes[0].lines


def test_what_failed_disagrees_or_is_the_same_everywhere_is_said() -> None:
    figure = phase_diagram(partly_failed())
    (ax,) = figure.axes
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "linear")
    np.testing.assert_allclose(ax.get_xlim(), (1e-3, 1e200))
    assert any(text.startswith("all runs failed: ") for text in texts(figure))
    rates = {"low": 1e190, "high": 1e200, "scale": "log", "points": 4}
    failed = small(4, x={"key": "training.learning_rate.values", **rates}, training={"steps": 60})
    assert any(text.startswith("all runs failed: 100 %") for text in texts(phase_diagram(failed)))
    diagram, shape = full(), (33, 33)
    sure = replace(diagram, agreement=np.ones(shape), settled=np.ones(shape))
    for one, unsure in ((diagram, True), (sure, False)):
        assert any("unsure" in text for text in texts(phase_diagram(one))) == unsure
    flat = phase_diagram(replace(diagram, number=np.full(shape, 0.5)))
    assert not any("mean over seeds" in text for text in texts(flat))


def test_colours_go_from_light_to_dark_in_clear_steps() -> None:
    """So they are in order for every eye, and in grey."""
    rgb = [[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in REGIME_COLOURS]
    assert (np.diff(np.array(rgb) @ [0.299, 0.587, 0.114]) < -20).all()


def test_axes_and_lines_say_what_they_are() -> None:
    for key, label in (
        ("agent.log_horizon", "log horizon\n(it cares about its future values by λ = exp ℓ)"),
        ("training.leak", "leak\n(gamed responses also train values and propensities)"),
        ("training.learning_rate.values", "learning rate.values\n(η of v)"),
        ("agent.initial.values.copyright", "values.copyright\n"),
        ("scenario.contexts.coding.info", "coding.info"),
    ):
        assert axis_label(Axis(key=key, low=0, high=1)).startswith(label)
    coding = "gaming rate (coding), mean over seeds\nchance of gaming"
    assert number_label("gaming_rate.coding") == coding
    assert number_label("alignment").endswith("cosine of v with human values")


def test_the_roomiest_place_for_a_name() -> None:
    region = np.zeros((20, 30), bool)
    region[2:5, 2:9] = region[8:18, 10:26] = True
    row, column = roomiest(region, height=2, width=3) or (0, 0)
    assert (11 <= row <= 15, 15 <= column <= 21) == (True, True)
    assert roomiest(region, height=2, width=17) is None
    assert roomiest(np.ones((3, 3), bool), height=4, width=1) is None
    assert roomiest(np.ones((3, 3), bool), height=3, width=3) == (1, 1)
