"""experiments/stability.py: what it writes and tells, and what it refuses."""

from __future__ import annotations

import pandas as pd
import pytest

from commands import Call, Left, assert_refused

FEW = ("starts=6", "training.steps=200", "training.anchor=0.01", "steps=2000")


def ran(call: Call, *settings: str) -> Left:
    left = call(*FEW, *settings, name="stability")
    assert left.status == 0, left.stderr
    names = {path.name for path in left.files() if ".hydra" not in path.parts}
    assert names == {
        "stability.json",
        "equilibria.csv",
        "provenance.json",
        "phase_plane.png",
        "phase_plane.svg",
    }
    assert left.only("phase_plane.png").read_bytes().startswith(b"\x89PNG")
    return left


def test_it_tells_what_training_comes_to_rest_at(call: Call) -> None:
    left = ran(call)
    found, frame = left.json("stability.json"), pd.read_csv(left.only("equilibria.csv"))
    assert (found["context"], found["value"]) == ("copyright_chat", "copyright")
    assert len(found["equilibria"]) == len(frame) > 0
    own = found["equilibria"][found["own"]]
    assert own["own"]
    assert own["kind"] == "stable"
    assert sum(one["own"] for one in found["equilibria"]) == 1
    assert "copyright_deployed" not in own["gaming_rate"]
    assert own["memory"] == pytest.approx(frame["memory"][found["own"]])
    shares = sum(one["share"] for one in found["equilibria"])
    assert shares + found["unsettled"] == pytest.approx(1.0)
    assert f"The agent's own training leads to {found['own'] + 1}." in left.stdout
    assert left.json("provenance.json")["training"]["anchor"] == 0.01
    assert left.json("provenance.json")["agent"]["initial"]["values"] == {
        "copyright": 1.0,
        "helpfulness": 1.0,
    }


def test_it_says_plainly_when_nothing_rests(call: Call) -> None:
    left = ran(call, "training.anchor=0", "context=coding", "value=helpfulness")
    found = left.json("stability.json")
    assert found["equilibria"] == []
    assert found["own"] is None
    assert found["unsettled"] == 1.0
    assert found["newton"]["stalled"] == found["newton"]["attempts"] > 0
    assert found["plane"]["points"] == []
    said = " ".join(left.stdout.split())
    assert "No equilibrium was found from 6 starts." in said
    stalled = found["newton"]["stalled"]
    assert f"did not converge in {stalled} of {stalled} attempts." in said
    assert "100 % of the starts had come to rest nowhere" in said
    fastest = max(found["drift"], key=lambda name: abs(found["drift"][name]))
    assert f"in a step: {fastest} by " in said
    assert len(found["invasions"]) == 8
    assert "dies out exponentially" in said


def test_gates_that_saturate_are_told(call: Call) -> None:
    left = ran(call, "training.anchor=0", "free=habit")
    told = [one for one in left.json("stability.json")["equilibria"] if one["saturated"]]
    assert told
    for one in told:
        assert {against["context"] for against in one["against"]} == set(one["saturated"])
    assert "died out" in left.stdout


REFUSED = [
    (["context=coping"], "context: got 'coping': must be one that is trained on; did you mean "),
    (["context=copyright_deployed"], "context: got 'copyright_deployed': must be one that is tr"),
    (["value=helpfullness"], "value: got 'helpfullness': did you mean 'helpfulness'?"),
    (["free=[habits]"], "parameters: there is no free 'habits'; did you mean 'habit'?"),
    (["free=3"], "free: got 3: must be a list of names"),
    (["training.estimator=sampled"], "training.estimator: got 'sampled'"),
    (["starts=0"], "starts: got 0: must be a whole number of 1 or more"),
    (["steps=many"], "steps: got 'many': must be a whole number of 1 or more"),
    (["at_step=201"], "at_step: got 201: must be 200 or less"),
    (["phase=7"], "phase: got 7: training has 1, from 0"),
    (["phase=last"], "phase: got 'last': must be a whole number"),
    (["seed=-1"], "seed: got -1: must be a whole number of 0 or more"),
    (["strats=3"], "strats: unknown key; did you mean 'starts'?"),
    (["training.ankor=3"], "training.ankor: unknown key; did you mean 'anchor'?"),
]


@pytest.mark.parametrize(("settings", "says"), REFUSED, ids=[" ".join(s) for s, _ in REFUSED])
def test_what_cannot_be_used_is_refused_in_one_line_before_anything_is_written(
    call: Call, settings: list[str], says: str
) -> None:
    left = call(*FEW, *settings, name="stability")
    assert_refused(left, says)


def test_the_help_tells_every_key(call: Call) -> None:
    shown = call("--help", name="stability").stdout
    assert shown.startswith("experiments/stability.py: where training comes to rest")
    for key in ("context", "value", "free", "phase", "seed", "starts", "steps", "at_step"):
        assert f"\n  {key}=" in shown
