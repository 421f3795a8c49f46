"""Oversight and deployment under interventions: the same specs, with other numbers.

What comes after training has no steps, so an intervention on it holds throughout. Interventions act
in the order in which they are listed, each on what those before it have left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from sim.specs.base import describe
from sim.specs.deployment import Deployment
from sim.specs.errors import SpecError
from sim.specs.intervention_keys import AFTER, keys_after_training, matching
from sim.specs.oversight import Oversight

if TYPE_CHECKING:
    from sim.specs.intervention import Intervention

#: Specs as plain data, by the first part of their keys.
Trees = dict[str, dict[str, Any]]


def under(
    interventions: Sequence[Intervention], *, oversight: Oversight, deployment: Deployment
) -> tuple[Oversight, Deployment]:
    """Return oversight and deployment with what interventions make of them.

    Interventions on anything else change nothing here. Where nothing is done, what is given comes
    back itself. This is no fixed point: what was scaled is scaled again by another call.

    Args:
        interventions: What is done, in this order.
        oversight: What it is done to.
        deployment: Likewise.

    Raises:
        SpecError: A number becomes what the spec does not allow; the line names the intervention.
    """
    if not any(one.subject in AFTER for one in interventions):
        return oversight, deployment
    trees: Trees = {"oversight": oversight.model_dump(), "deployment": deployment.model_dump()}
    for one in interventions:
        if one.subject in AFTER:
            for key in matching(one.key, keys_after_training(one.subject)):
                _act(one, trees, key)
    try:
        return _read(trees)
    except SpecError as error:
        # Numbers are judged together: one intervention may mend what another would break.
        at = _culprit(interventions, oversight=oversight, deployment=deployment)
        raise SpecError(f"interventions[{at}]: {error}") from None


def refusal(key: str, number: float) -> str:
    """Return why a number cannot be had by the keys after training that a key stands for.

    Args:
        key: Of oversight or of deployment.
        number: To be set.

    Returns:
        One line; "" if each number alone can be had, whatever the others are.
    """
    subject = key.partition(".")[0]
    for one in matching(key, keys_after_training(subject)):
        spec, path = AFTER[subject], tuple(one.split(".")[1:])
        tree = {subject: spec().model_dump()}
        _put(tree, one, number)
        try:
            spec.model_validate(tree[subject])
        except ValidationError as error:
            if error.errors()[0]["loc"][: len(path)] == path:
                return describe(error, path=subject)
    return ""


def _read(trees: Trees) -> tuple[Oversight, Deployment]:
    return (
        Oversight.parse(trees["oversight"], path="oversight"),
        Deployment.parse(trees["deployment"], path="deployment"),
    )


def _culprit(
    interventions: Sequence[Intervention], *, oversight: Oversight, deployment: Deployment
) -> int:
    """Return the number of the last intervention without which nothing would be refused."""
    for at in reversed(range(len(interventions))):
        if interventions[at].subject not in AFTER:
            continue
        try:
            under(interventions[:at], oversight=oversight, deployment=deployment)
        except SpecError:
            continue
        return at
    return 0


def _act(one: Intervention, trees: Trees, key: str) -> None:
    if one.scale is None:
        assert one.set is not None
        _put(trees, key, one.set)
        return
    now = _at(trees, key.split("."))
    if isinstance(now, Mapping):  # encounters, by context
        _put(trees, key, {name: one.scale * number for name, number in now.items()})
    else:
        _put(trees, key, one.scale * now)


def _at(node: Any, path: Sequence[str]) -> Any:
    for name in path:
        node = node[name]
    return node


def _put(trees: Trees, key: str, number: float | Mapping[str, float]) -> None:
    """Put a number where it belongs; a whole one as such, which is what counts have to be."""
    *above, name = key.split(".")
    _at(trees, above)[name] = (
        {of: _whole(one) for of, one in number.items()}
        if isinstance(number, Mapping)
        else _whole(number)
    )


def _whole(number: float) -> float:
    return int(number) if float(number).is_integer() else number
