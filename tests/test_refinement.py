"""Refinement against maps that are known: what it finds, what it needs, and what it misses."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.analysis.refinement import Refined, refine
from sim.specs.errors import SpecError

Map = np.ndarray


def refined(labels: Map, values: Map | None = None, *, stride: int = 8) -> Refined:
    """Refine a known map; no point may be asked for twice."""
    values = np.zeros(labels.shape) if values is None else values
    asked = np.zeros(labels.shape, int)

    def evaluate(points: Map) -> tuple[Map, Map]:
        assert points.shape == (len(points), 2)
        assert len(points) > 0
        np.add.at(asked, tuple(points.T), 1)
        return labels[tuple(points.T)], values[tuple(points.T)]

    found = refine(labels.shape, evaluate, stride=stride)
    assert asked.max() == 1
    assert (asked == found.evaluated).all()
    assert found.evaluations == asked.sum() == sum(found.rounds)
    assert (found.labels == labels)[found.evaluated].all()
    np.testing.assert_array_equal(found.values[found.evaluated], values[found.evaluated])
    return found


def grid(ny: int, nx: int) -> tuple[Map, Map]:
    y, x = np.mgrid[0:ny, 0:nx]
    return y, x


def boundary(labels: Map) -> Map:
    """Whether a point has a neighbour, in its row or column, of another label."""
    padded = np.pad(labels, 1, mode="edge")
    around = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    return np.logical_or.reduce([labels != other for other in around])


def half_plane(y: Map, x: Map) -> Map:
    return (0.37 * x + y > 61).astype(int)


def disc(y: Map, x: Map) -> Map:
    return (np.hypot(y - 47, x - 55) < 30).astype(int)


def three_regions(y: Map, x: Map) -> Map:
    return half_plane(y, x) + disc(y, x)


def hyperbola(y: Map, x: Map) -> Map:
    return ((x - 5.0) * (y - 5.0) > 700).astype(int)


@pytest.mark.parametrize("plant", [half_plane, disc, three_regions, hyperbola])
@pytest.mark.parametrize("shape", [(100, 100), (97, 64)])
@pytest.mark.parametrize("stride", [4, 8, 16])
def test_regions_with_smooth_boundaries_are_found_to_the_last_point(
    plant: Callable[[Map, Map], Map], shape: tuple[int, int], stride: int
) -> None:
    labels = plant(*grid(*shape))
    found = refined(labels, stride=stride)
    np.testing.assert_array_equal(found.labels, labels)
    assert found.evaluations < 0.15 * labels.size + (0.07 * labels.size if stride == 4 else 0)


def test_a_line_across_a_map_needs_few_points() -> None:
    found = refined(half_plane(*grid(200, 200)))
    assert found.evaluations < 0.05 * 200 * 200
    assert len(found.rounds) <= 10


def test_no_step_of_a_boundary_is_a_guess() -> None:
    labels = three_regions(*grid(90, 120))
    found = refined(labels)
    assert found.evaluated[boundary(found.labels)].all()


def test_a_stripe_that_is_met_anywhere_is_followed_through_cells_that_seemed_uniform() -> None:
    """It lies between the lines of the coarse lattice, but for one point at its end.

    Without checking neighbours again, the cells along it, whose corners agree, would stay as they
    seemed to be.
    """
    labels = np.zeros((65, 65), int)
    labels[20, 16:60] = 1
    labels[20:25, 16] = 1
    assert labels[::8, ::8].sum() == 1
    np.testing.assert_array_equal(refined(labels, stride=8).labels, labels)


def test_a_thin_slanted_stripe_is_followed() -> None:
    y, x = grid(100, 100)
    labels = (np.abs(y - 0.6 * x - 12.3) < 2.0).astype(int)
    np.testing.assert_array_equal(refined(labels).labels, labels)


def test_an_island_between_the_lines_of_the_coarse_lattice_is_missed() -> None:
    """As is said; a smaller stride finds it."""
    labels = np.zeros((33, 33), int)
    labels[10:14, 10:14] = 1
    assert refined(labels, stride=8).labels.sum() == 0
    np.testing.assert_array_equal(refined(labels, stride=4).labels, labels)


def test_where_nothing_changes_the_coarse_lattice_is_all_that_is_evaluated() -> None:
    found = refined(np.full((97, 97), 3), stride=8)
    assert found.rounds == (13 * 13,)
    assert (found.labels == 3).all()


def test_noise_is_evaluated_nearly_everywhere_and_ends() -> None:
    labels = np.random.default_rng(0).integers(0, 3, (60, 60))
    found = refined(labels)
    assert found.evaluations > 0.9 * labels.size
    assert (found.labels != labels).mean() < 0.02


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (2, 2), (2, 50), (3, 17)])
def test_narrow_grids(shape: tuple[int, int]) -> None:
    y, x = grid(*shape)
    labels = (x + y > 21).astype(int)
    np.testing.assert_array_equal(refined(labels).labels, labels)


def test_a_stride_of_one_is_the_full_grid() -> None:
    found = refined(np.zeros((9, 14), int), stride=1)
    assert found.rounds == (9 * 14,)
    assert found.evaluated.all()


def test_the_edges_are_in_the_lattice_whatever_the_stride() -> None:
    found = refined(np.zeros((30, 50), int), stride=1000)
    assert np.argwhere(found.evaluated).tolist() == [[0, 0], [0, 49], [29, 0], [29, 49]]


# ---------------------------------------------------------------------------------------- values


def test_values_that_are_bilinear_are_filled_in_exactly() -> None:
    y, x = grid(57, 83)
    values = np.stack([2.0 + 0.5 * x - 0.25 * y, 3.0 * y, np.ones(y.shape)], axis=-1)
    found = refined(disc(y, x), values)
    assert found.values.shape == (57, 83, 3)
    assert not found.evaluated.all()
    np.testing.assert_allclose(found.values, values, rtol=0.0, atol=1e-12)


def test_values_in_between_use_every_point_that_was_evaluated() -> None:
    """Between the coarse lattice and a boundary, the nearest lines count, not the coarse ones."""
    _, x = grid(65, 65)
    values = np.abs(x - 30.0)  # its kink is where the boundary is
    found = refined((x > 29).astype(int), values, stride=16)
    assert np.abs(found.values - values).max() < 2.1


def test_what_is_not_defined_at_one_end_does_not_spread() -> None:
    y, x = grid(33, 33)
    labels = (x > 13).astype(int)
    values = np.where(labels == 1, np.nan, 1.0 + y)
    found = refined(labels, values)
    defined = labels == 0
    np.testing.assert_allclose(found.values[defined], values[defined])
    assert np.isnan(found.values[~defined]).all()


# ------------------------------------------------------------------------------------- properties


@st.composite
def blobs(draw: st.DrawFn) -> Map:
    """Draw a map of discs, whose labels add up."""
    ny, nx = draw(st.integers(9, 48)), draw(st.integers(9, 48))
    y, x = grid(ny, nx)
    labels = np.zeros((ny, nx), int)
    for _ in range(draw(st.integers(0, 4))):
        at, radius = (draw(st.integers(0, 47)), draw(st.integers(0, 47))), draw(st.integers(1, 25))
        labels += np.hypot(y - at[0], x - at[1]) <= radius
    return labels


@given(labels=blobs(), stride=st.integers(1, 20))
def test_whatever_is_missed_touches_nothing_that_was_found(labels: Map, stride: int) -> None:
    """No boundary is a guess; so a mistake is an island of its own, off the coarse lattice."""
    found = refined(labels, stride=stride)
    assert found.evaluated[boundary(found.labels)].all()
    for end in (0, -1):
        assert found.evaluated[end, [0, -1]].all()
    wrong = found.labels != labels
    assert not (wrong & found.evaluated).any()
    if stride == 1:
        assert not wrong.any()


@pytest.mark.parametrize("stride", [0, -3, 1.5, True, "8", None])
def test_a_stride_that_is_none_is_refused(stride: object) -> None:
    with pytest.raises(SpecError, match=r"^stride: got .*: must be a whole number of 1 or more$"):
        refine((5, 5), lambda points: (points[:, 0], points[:, 0]), stride=stride)  # type: ignore[arg-type]


def test_a_grid_without_points_is_refused() -> None:
    with pytest.raises(SpecError, match=r"^shape: got \(0, 5\)"):
        refine((0, 5), lambda points: (points[:, 0], points[:, 0]))
