"""Contrasts between twins: interventions that last as long as training, on the one or the other."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sim.analysis.context_roles import context_roles
from sim.specs.errors import SpecError
from sim.specs.intervention import Intervention
from sim.specs.overrides import Specs, read_specs

Do = tuple[Intervention, ...]
#: Interventions on the first twin, and on the second.
Contrast = tuple[Do, Do]

#: Settings by assumption; `as it is`: none.
Assumptions = Mapping[str, Mapping[str, object]]
AS_IT_IS = "as it is"
NO_CREDIT: Assumptions = {"motive_credit 0": {"training.motive_credit": 0.0}}
LEAK: Assumptions = {"leak 0.3": {"training.leak": 0.3}}


def in_training(specs: Specs, *settings: Mapping[str, object]) -> Do:
    """Return interventions that last to the end of training, so that agents are measured free."""
    steps = specs.training.steps
    return tuple(Intervention.parse({"stop": steps, **setting}, path="do") for setting in settings)


def without_gaming(specs: Specs, start: int = 0) -> Do:
    """Return the intervention that turns gaming off, from a step to the end of training."""
    return in_training(specs, {"key": "gaming", "set": 0.0, "start": start})


def gaming_only_in(specs: Specs, contexts: Collection[str]) -> Do:
    """Return interventions that force gaming on, where training is in mind, in some contexts."""
    return in_training(
        specs,
        *({"key": f"gaming.{c}", "set": float(c in contexts)} for c in specs.scenario.contexts),
    )


def contrasts_of(specs: Specs) -> dict[str, Contrast]:
    """Return contrasts by name; the effect is that of the first less that of the second.

    The main contrast is first: `what is done`, of the interventions of the specs against none;
    without any `gaming`, the agent's own against none throughout training. Then gaming forced on in
    one context only, against none; and the agent's own gaming in the second half of training,
    against gaming in the first half only.
    """
    off, do = without_gaming(specs), specs.interventions
    main: dict[str, Contrast] = {"what is done": (do, ())} if do else {"gaming": ((), off)}
    context = _contested_context(specs)
    contrasts = {**main, f"gaming in {context} only": (gaming_only_in(specs, [context]), off)}
    half = specs.training.steps // 2
    if half:
        contrasts["gaming in the second half"] = ((), without_gaming(specs, half))
    return contrasts


def _contested_context(specs: Specs) -> str:
    """Return the contested context; the first that is trained on, where none is."""
    try:
        return context_roles(specs._replace(interventions=())).contested
    except SpecError:
        return next(iter(specs.scenario.of_kind("training")))


def with_do(specs: Specs, do: Do) -> Specs:
    """Return checked specs in which nothing but `do` is done.

    Raises:
        SpecError: It cannot be done.
    """
    return read_specs(specs.scenario, agent=specs.agent, training=specs.training, interventions=do)
