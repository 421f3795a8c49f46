"""Refinement of maps that are known: what it finds, what it evaluates, and what it misses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refusals import assert_all_refused
from sim.analysis.refinement import Refined, refine

Map = np.ndarray


def refined(labels: Map, values: Map | None = None, *, stride: int = 8) -> Refined:
    """Refine a known map; no point may be evaluated twice, nor the boundary be a guess."""
    values = np.zeros(labels.shape) if values is None else values
    count = np.zeros(labels.shape, int)

    def evaluate(points: Map) -> tuple[Map, Map]:
        assert points.shape == (len(points), 2)
        assert len(points) > 0
        np.add.at(count, tuple(points.T), 1)
        return labels[tuple(points.T)], values[tuple(points.T)]

    grid = refine(labels.shape, evaluate, stride=stride)
    assert count.max() == 1
    assert (count == grid.evaluated).all()
    assert grid.evaluated.sum() == count.sum() == sum(grid.rounds)
    assert (grid.labels == labels)[grid.evaluated].all()
    np.testing.assert_array_equal(grid.values[grid.evaluated], values[grid.evaluated])
    assert grid.evaluated[boundary(grid.labels)].all()
    return grid


def boundary(labels: Map) -> Map:
    """Whether a point has a neighbour, in its row or column, of another label."""
    padded = np.pad(labels, 1, mode="edge")
    around = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    return np.logical_or.reduce([labels != neighbour for neighbour in around])


def planted(ny: int, nx: int) -> list[Map]:
    """A half-plane, a disc, both, a hyperbola."""
    y, x = np.mgrid[:ny, :nx]
    half = (0.37 * x + y > 61).astype(int)
    disc = (np.hypot(y - 47, x - 55) < 30).astype(int)
    return [half, disc, half + disc, ((x - 5.0) * (y - 5.0) > 700).astype(int)]


@pytest.mark.parametrize("stride", [4, 8, 16])
def test_regions_with_smooth_boundaries_are_found_to_the_last_point(stride: int) -> None:
    for shape in ((100, 100), (97, 64)):
        for labels in planted(*shape):
            grid = refined(labels, stride=stride)
            np.testing.assert_array_equal(grid.labels, labels)
            assert sum(grid.rounds) < (0.22 if stride == 4 else 0.15) * labels.size
        whole = refined(np.full(shape, 3), stride=stride)
        assert len(whole.rounds) == 1
        assert (whole.labels == 3).all()


def test_a_line_across_a_map_needs_few_points() -> None:
    grid = refined(planted(200, 200)[0])
    assert sum(grid.rounds) < 0.05 * 200 * 200
    assert len(grid.rounds) <= 10


def test_a_stripe_is_followed_through_cells_whose_corners_agreed() -> None:
    """It lies between the lines of the coarse lattice, but for one point at its end."""
    labels = np.zeros((65, 65), int)
    labels[20, 16:60] = 1
    labels[20:25, 16] = 1
    assert labels[::8, ::8].sum() == 1
    y, x = np.mgrid[:100, :100]
    for stripe in (labels, (np.abs(y - 0.6 * x - 12.3) < 2.0).astype(int)):
        np.testing.assert_array_equal(refined(stripe).labels, stripe)


def test_an_island_between_the_lines_of_the_coarse_lattice_is_missed() -> None:
    labels = np.zeros((33, 33), int)
    labels[10:14, 10:14] = 1
    assert refined(labels, stride=8).labels.sum() == 0
    np.testing.assert_array_equal(refined(labels, stride=4).labels, labels)


def test_noise_is_evaluated_nearly_everywhere_and_ends() -> None:
    labels = np.random.default_rng(0).integers(0, 3, (60, 60))
    grid = refined(labels)
    assert sum(grid.rounds) > 0.9 * labels.size
    assert (grid.labels != labels).mean() < 0.02


def test_narrow_grids_and_extreme_strides() -> None:
    for shape in ((1, 1), (1, 40), (40, 1), (2, 2), (2, 50), (3, 17)):
        labels = (np.add(*np.mgrid[: shape[0], : shape[1]]) > 21).astype(int)
        np.testing.assert_array_equal(refined(labels).labels, labels)
    full = refined(np.zeros((9, 14), int), stride=1)
    assert full.rounds == (9 * 14,)
    corners = refined(np.zeros((30, 50), int), stride=1000)
    assert np.argwhere(corners.evaluated).tolist() == [[0, 0], [0, 49], [29, 0], [29, 49]]


def test_values_are_interpolated_between_the_nearest_points() -> None:
    y, x = np.mgrid[:57, :83]
    bilinear = np.stack([2.0 + 0.5 * x - 0.25 * y, 3.0 * y, np.ones(y.shape)], axis=-1)
    grid = refined(planted(57, 83)[1], bilinear)
    assert not grid.evaluated.all()
    np.testing.assert_allclose(grid.values, bilinear, rtol=0.0, atol=1e-12)
    _, x = np.mgrid[:65, :65]
    kinked = np.abs(x - 30.0)  # at the boundary: the nearest lines count, not the coarse ones
    grid = refined((x > 29).astype(int), kinked, stride=16)
    assert np.abs(grid.values - kinked).max() < 2.1
    y, x = np.mgrid[:33, :33]
    partial = np.where(x > 13, np.nan, 1.0 + y)  # nan does not spread
    grid = refined((x > 13).astype(int), partial)
    np.testing.assert_allclose(grid.values, partial)


@st.composite
def blobs(draw: st.DrawFn) -> Map:
    """Draw a map of discs, whose labels add up."""
    ny, nx = draw(st.integers(9, 48)), draw(st.integers(9, 48))
    y, x = np.mgrid[:ny, :nx]
    labels = np.zeros((ny, nx), int)
    for _ in range(draw(st.integers(0, 4))):
        at, radius = (draw(st.integers(0, 47)), draw(st.integers(0, 47))), draw(st.integers(1, 25))
        labels += np.hypot(y - at[0], x - at[1]) <= radius
    return labels


@given(labels=blobs(), stride=st.integers(1, 20))
def test_what_is_missed_touches_no_boundary_that_was_found(labels: Map, stride: int) -> None:
    """So a mistake is an island of its own, off the coarse lattice; `refined` asserts it."""
    grid = refined(labels, stride=stride)
    for end in (0, -1):
        assert grid.evaluated[end, [0, -1]].all()
    assert stride > 1 or (grid.labels == labels).all()


def test_what_is_no_stride_and_no_grid_is_refused() -> None:
    def evaluate(points: Map) -> tuple[Map, Map]:
        return points[:, 0], points[:, 0]

    strides = [(lambda s=s: refine((5, 5), evaluate, stride=s)) for s in (0, -3, 1.5, True, "8")]
    shapeless = (lambda: refine((0, 5), evaluate), "shape: got (0, 5): must have a row and a")
    must = "must be a whole number of 1 or more"
    assert_all_refused([*((stride, must) for stride in strides), shapeless])
