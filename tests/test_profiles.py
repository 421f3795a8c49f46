"""Profiles are what results and prospects say of agents."""

from __future__ import annotations

import pickle
from dataclasses import replace
from functools import cache, partial
from typing import Any

import sim
from deployments import ABLE
from refusals import assert_all_refused
from sim.abm.profiles import profiles
from sim.specs.agent import CAPABILITIES


@cache
def result() -> sim.Result:
    return sim.simulate(
        "lab_to_deployment",
        agent={"initial": {"values": {"power": 1.5, "conquest": 1, "care": -1}}},
        training={"steps": 20},
        agents=3,
        record_every=10,
    )


def test_profiles_say_what_prospects_and_the_result_say() -> None:
    bold = profiles(result(), deployment={"caution": 0})
    paper = sim.prospects(result(), deployment={"caution": 0})
    state = result().data.isel(step=-1)
    contexts = [str(name) for name in state["context"].values]
    assert [profile.agent for profile in bold] == [0, 1, 2]
    for profile in bold:
        own = state.sel(agent=profile.agent)
        k = own["capabilities"].sel(capability=list(CAPABILITIES)).values.tolist()
        assert profile.attempts == bool(paper["attempts"].sel(agent=profile.agent))
        assert profile.capabilities == dict(zip(CAPABILITIES, k, strict=True))
        assert profile.slip == dict(zip(contexts, own["slip"].values.tolist(), strict=True))
        tempts = [name for name in contexts if own["temptation"].sel(context=name) > 0]
        assert profile.tempting == tuple(tempts)
    assert bold[0].attempts
    assert "unwatched_cluster" in bold[0].tempting
    assert not profiles(result())[0].attempts  # its chance is small, and it knows
    peaceful = {"initial": {"values": {"power": 1, "conquest": -3}}}
    few = sim.simulate("lab_to_deployment", agent=peaceful, training={"steps": 1})
    assert profiles(few)[0].tempting == ("access_deployed", "coding_deployed")
    early = profiles(result(), agents=[2, 0], step=0)
    assert [profile.agent for profile in early] == [2, 0]
    assert early[0].slip != bold[2].slip
    assert profiles(result(), agents=1)[0].agent == 1
    assert pickle.loads(pickle.dumps(bold)) == bold
    assert repr(ABLE).startswith("Profile(agent=0, attempts=True, opacity=1, ")


def test_what_gives_no_profile_is_refused_in_one_line() -> None:
    make = partial(profiles, result())
    cases: list[tuple[Any, str]] = [
        (partial(make, agents=3), "agents: got 3: must be 2 or less"),
        (partial(make, agents=[]), "agents: none are named"),
        (partial(make, step=5), "step: got 5: was not recorded"),
        (partial(make, deployment={"quorum": 2}), "deployment.quorum: a quorum of 2 times"),
        (partial(replace, ABLE, capabilities={}), "profile of agent 0: has no capability opacity"),
        (partial(replace, ABLE, slip={"chat": 2.0}), "profile of agent 0: slip.chat: got 2.0"),
    ]
    assert_all_refused(cases)
