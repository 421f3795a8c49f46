"""The fit of the model to tables of prompts: likelihood, best parameters, posterior draws.

Binomial counts, with the numbers of answers that published errors imply, have the variance 1 / n on
the scale 2 arcsin √p. Prompts scatter about the places that edits give them, along the value and
along awareness: each row has the covariance of what a step of one standard deviation does to its
rates, which are then off together, and no parameter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from sim.dynamics.randomness import normal, uniform_pair
from sim.dynamics.state import Array
from sim.utils.intervals import mixing

from .data import Measurements
from .model import Design, PromptModel

#: Step of the differences by which slopes are taken.
_STEP = 1e-5
#: Draws that are worked out at once.
BATCH = 64
#: Chains side by side, and degrees of freedom of the t distribution of their far moves.
CHAINS, TAIL = 16, 8
_ACCEPTED = "posterior, accepted"
#: Share of a belief's width above which a posterior is hardly told by the data.
UNTOLD = 0.8


def transform(rates: Array) -> Array:
    """Return 2 arcsin √p."""
    return 2.0 * np.arcsin(np.sqrt(np.clip(rates, 0.0, 1.0)))


def observed(measured: Measurements) -> tuple[Array, Array]:
    """Return the transformed rates, after Anscombe, and their variances [row, rate]."""
    n = measured.answers
    return transform((measured.rates * n + 0.375) / (n + 0.75)), 1.0 / (n + 0.5)


@dataclass(frozen=True)
class Posterior:
    """Parameters given a table: prior and likelihood of a model, for many draws at once."""

    model: PromptModel
    measured: Measurements

    @cached_property
    def design(self) -> Design:
        """Return the rows as the model sees them."""
        return self.model.design(self.measured.frame)

    @cached_property
    def distinct(self) -> Design:
        """Return the rows that stand for all that have the same edits."""
        return self.model.design(self.measured.frame.iloc[self.design.first])

    @cached_property
    def observed(self) -> tuple[Array, Array]:
        """Return `observed` of the table."""
        return observed(self.measured)

    def predict(self, theta: Array) -> tuple[Array, Array]:
        """Return transformed rates and their scatter, [draw, row, rate] and [..., rate, rate]."""
        sigma = np.array([0.0, -1.0, 1.0])
        angles = transform(self.model.rates(theta, self.distinct, value=sigma, awareness=sigma))
        by_value = (angles[:, :, 2, 0] - angles[:, :, 1, 0]) / 2.0
        by_awareness = (angles[:, :, 0, 2] - angles[:, :, 0, 1]) / 2.0
        scatter = sum(d[..., :, None] * d[..., None, :] for d in (by_value, by_awareness))
        return angles[:, self.design.alike, 0, 0], np.asarray(scatter)[:, self.design.alike]

    def distances(self, theta: Array) -> tuple[Array, Array]:
        """Return each row's squared distance, and its errors' log-determinant, [draw, row]."""
        rates, variance = self.observed
        centre, scatter = self.predict(theta)
        covariance = scatter + variance[..., None] * np.eye(3)
        misses = (rates - centre)[..., None]
        distance = (misses * np.linalg.solve(covariance, misses)).sum(axis=(-1, -2))
        return np.asarray(distance), np.asarray(np.linalg.slogdet(covariance)[1])

    def log_likelihood(self, theta: Array) -> Array:
        """Return the log-likelihood of each row [draw, row]."""
        distance, volume = self.distances(theta)
        return np.asarray(-0.5 * (distance + volume + 3.0 * np.log(2.0 * np.pi)))

    def __call__(self, theta: Array) -> Array:
        """Return the logarithm of prior times likelihood [draw]."""
        prior = -0.5 * (((theta - self.model.start) / self.model.width) ** 2).sum(axis=1)
        parts = np.array_split(theta, -(-len(theta) // BATCH))
        density = np.concatenate([self.log_likelihood(part).sum(axis=1) for part in parts]) + prior
        return np.where(np.isfinite(density), density, -np.inf)

    def slope(self, theta: Array) -> tuple[float, Array]:
        """Return the logarithm at θ [parameter] and its slopes [parameter]."""
        density = self(np.vstack([theta, theta + _STEP * np.eye(len(theta))]))
        return float(density[0]), (density[1:] - density[0]) / _STEP

    def maximise(self, start: Array | None = None, *, steps: int = 150) -> Fit:
        """Return the parameters with the highest posterior."""
        centre, width = self.model.start, self.model.width

        def cost(scaled: Array) -> tuple[float, Array]:
            density, slope = self.slope(centre + width * scaled)
            return (-density, -slope * width) if np.isfinite(density) else (1e12, 0.0 * scaled)

        first = np.zeros(len(centre)) if start is None else (start - centre) / width
        best = minimize(cost, first, jac=True, method="BFGS",
                        options={"maxiter": steps, "gtol": 0.02})  # fmt: skip
        return Fit(self, centre + width * best.x, float(-best.fun))


@dataclass(frozen=True)
class Fit:
    """The best parameters [parameter], and the logarithm of their posterior."""

    posterior: Posterior
    theta: Array
    density: float

    @cached_property
    def rates(self) -> Array:
        """Return the rates that the model has without scatter [row, rate]."""
        rates = self.posterior.model.rates(self.theta[None], self.posterior.design)
        return np.asarray(rates[0, :, 0, 0])

    @property
    def distances(self) -> Array:
        """Return each row's squared distance from the model, by errors and scatter [row]."""
        return np.asarray(self.posterior.distances(self.theta[None])[0][0])

    @cached_property
    def covariance(self) -> Array:
        """Return the covariance of the parameters by the curvature of the posterior."""
        size, step = len(self.theta), 1e-3 * self.posterior.model.width
        shifts = step[:, None] * np.eye(size)
        slope = self.posterior.slope
        slopes = np.array([slope(self.theta + d)[1] - slope(self.theta - d)[1] for d in shifts])
        curvature = -slopes / (2.0 * step[:, None])
        levels, axes = np.linalg.eigh((curvature + curvature.T) / 2.0)
        least = 1.0 / (9.0 * self.posterior.model.width.max() ** 2)
        return np.asarray((axes / np.maximum(levels, least)) @ axes.T)

    def sample(
        self, *, count: int, seed: int, steps: int, progress: Callable[[float], None] | None = None
    ) -> tuple[Array, Array, Array]:
        """Return posterior draws [draw, parameter], and `mixing` of their chains [parameter].

        Metropolis-Hastings, by turns to anywhere (a t distribution) and to near by, with the
        covariance of the curvature, then of the walks; draws are of the last 5 / 8 of the steps.
        """
        size, settled = len(self.theta), 3 * steps // 8
        chains = np.empty((steps, CHAINS, size))
        centre, root = self.theta, np.linalg.cholesky(self.covariance + 1e-10 * np.eye(size))
        places, rows = np.tile(centre, (CHAINS, 1)), np.arange(CHAINS * (size + TAIL))
        density = np.full(CHAINS, -np.inf)
        for step in range(steps):
            if step > 2 * size and step in (settled // 4, settled // 2, settled):
                walked = chains[step // 2 : step].reshape(-1, size)
                centre = walked.mean(axis=0)
                root = np.linalg.cholesky(np.cov(walked.T) + 1e-10 * np.eye(size))
            noise = normal(seed=seed, stream="posterior", rows=rows, step=step).reshape(CHAINS, -1)
            shift = noise[:, :size] @ root.T
            if step % 2 == 0:
                tries = centre + shift / np.sqrt((noise[:, size:] ** 2).mean(axis=1))[:, None]
                far = [np.linalg.solve(root, (x - centre).T) ** 2 for x in (places, tries)]
                old, new = (np.log1p(x.sum(axis=0) / TAIL) * (size + TAIL) / 2.0 for x in far)
                favour = new - old
            else:
                tries, favour = places + (2.0, 0.8)[step // 2 % 2] / np.sqrt(size) * shift, 0.0
            proposed = self.posterior(tries)
            chance, _ = uniform_pair(seed=seed, stream=_ACCEPTED, rows=np.arange(CHAINS), step=step)
            better = np.log1p(-chance) < proposed - density + favour
            places = np.where(better[:, None], tries, places)
            density = np.where(better, proposed, density)
            chains[step] = places
            if progress is not None:
                progress((step + 1) / steps)
        draws = chains[settled:].reshape(-1, size)
        picks = np.linspace(0, len(draws) - 1, count).round().astype(np.intp)
        return draws[picks], *mixing(chains[settled:])


def place_rows(
    model: PromptModel,
    theta: Array,
    measured: Measurements,
    *,
    visible: NDArray[np.bool_] | None = None,
    nodes: int = 15,
) -> tuple[Array, Array, Array]:
    """Return where prompts may lie given the rates of them that are seen [rate], all where None.

    The deviates [node], the rates [draw, row, node of value, of awareness, rate], and the weights
    [draw, row, node of value, of awareness], which sum to 1.
    """
    deviates = np.linspace(-3.5, 3.5, nodes)
    prior = -0.5 * deviates**2
    design = model.design(measured.frame)
    rates = model.rates(theta, design, value=deviates, awareness=deviates)
    mask = np.ones(3, bool) if visible is None else visible
    at, variance = (array[:, None, None] for array in observed(measured))
    misses = ((transform(rates) - at) ** 2 / variance)[..., mask].sum(axis=-1)
    log_weight = prior[:, None] + prior[None, :] - 0.5 * misses
    weight = np.exp(log_weight - log_weight.max(axis=(-1, -2), keepdims=True))
    return deviates, rates, weight / weight.sum(axis=(-1, -2), keepdims=True)
