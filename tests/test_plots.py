"""Figures: everything that is drawn is named, nothing overlaps, every scenario can be drawn."""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text

import sim
from sim.analysis.summary import summarise
from sim.cli.outputs import write_figure
from sim.plots.emergence import emergence
from sim.plots.style import _apart, _within

SPREAD = {"spread": {"initial": {"awareness": 0.5, "habit": 0.5}}}


def texts(figure: Figure) -> list[str]:
    return [t.get_text() for t in figure.findobj(lambda artist: hasattr(artist, "get_text"))]


@pytest.mark.parametrize("name", sim.scenarios())
def test_every_context_and_value_is_named_in_the_figure(name: str) -> None:
    training = {"steps": 420}
    result = sim.simulate(name, agent=SPREAD, training=training, agents=4, record_every=20)
    figure = emergence(result)
    figure.savefig(io.BytesIO(), format="png")
    words = " | ".join(texts(figure))
    for context in result.data["context"].values:
        assert str(context).replace("_", " ") in words
    for value in result.data["value"].values:
        assert str(value) in words


def test_the_median_onset_is_marked_where_half_of_the_agents_have_one() -> None:
    result = sim.simulate("copyright", agent=SPREAD, agents=8, record_every=20)
    contexts = summarise(result)["contexts"]
    words = texts(emergence(result))
    for name, numbers in contexts.items():
        said = [w for w in words if w.startswith(name.replace("_", " "))]
        onset = numbers["onset"]
        assert len(said) == 1
        assert (f"onset {onset['median'] or 0:.0f}" in said[0]) == (onset["share_of_agents"] >= 0.5)


@pytest.mark.parametrize("agents", [1, 3])
def test_a_large_world_with_few_agents(agents: int) -> None:
    responses: dict[str, Any] = {"yes": {"v": 1}, "no": {"v": -1}}
    contexts = {f"context_{c}": {"responses": responses} for c in range(12)}
    scenario = {"values": ["v"], "human_values": {"v": 1}, "contexts": contexts}
    figure = emergence(sim.simulate(scenario, agents=agents, training={"steps": 5}))
    figure.savefig(io.BytesIO(), format="png")
    boxes = [
        Text.get_window_extent(artist)  # without the line that leads to it
        for artist in figure.findobj(Annotation)
        if artist.get_text().startswith("context")
    ]
    heights = sorted((box.y0, box.y1) for box in boxes)
    assert len(heights) == 12
    assert all(low[1] < high[0] + 3 for low, high in pairwise(heights))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0.01, 0.2))
def test_labels_are_moved_apart_and_no_further(wanted: list[float], minimum: float) -> None:
    placed = np.array(_apart(sorted(wanted), minimum=minimum))
    assert (np.diff(placed) >= minimum - 1e-9).all()
    far_apart = np.diff(sorted(wanted)) >= minimum
    if far_apart.all():
        np.testing.assert_allclose(placed, sorted(wanted), atol=1e-12)
    assert np.mean(placed) == pytest.approx(np.mean(wanted), abs=1e-9)


@given(st.lists(st.floats(-0.5, 1.5), min_size=1, max_size=8))
def test_labels_stay_beside_the_axes(wanted: list[float]) -> None:
    placed = np.array(_within(_apart(sorted(wanted), minimum=0.1), minimum=0.1))
    assert (placed >= -1e-9).all()
    assert (placed <= 1 + 1e-9).all()
    assert (np.diff(placed) >= 0.1 - 1e-9).all()


def test_the_same_result_gives_the_same_files(tmp_path: Path) -> None:
    result = sim.simulate("pipeline", training={"steps": 420}, agents=2, agent=SPREAD)
    one = write_figure(tmp_path / "one", emergence(result))
    other = write_figure(tmp_path / "other", emergence(result))
    for first, second in zip(one, other, strict=True):
        assert first.read_bytes() == second.read_bytes()
