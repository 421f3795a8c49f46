"""Lesson 5: causes and evidence. Open it with `make lessons`."""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="compact", app_title="Lesson 5: causes and evidence", css_file="lessons.css")


@app.cell
def _():
    import _shared as page
    import marimo as mo
    import numpy as np

    import sim

    return mo, np, page, sim


@app.cell
def _(mo):
    mo.md(r"""
    # Lesson 5: causes and evidence

    **At the end you will know** the difference between what gaming does and what it is a sign of,
    why misalignment is counted by what an agent does, and why the same observation can speak for
    misalignment or against it.
    *About 20 minutes: 5 to read, 10 for three predictions and the sliders, 5 for the exercises.*

    ## The passage

    > Evidentially, there are many shared factors (like misaligned long-term goals, competent
    > goal-directed reasoning and situational awareness) behind instrumental training-gaming and
    > worst-case stories, and hence observing one is evidence for the other. Causally, instrumental
    > training-gaming might reinforce those factors, making the model more worst-case-like.

    ## The idea

    **Cause.** Train every agent twice: as it is, and as a *twin* that never games. Twins share
    every random draw, so what they differ by is caused by gaming. We look at what is **kept** of
    the values that an agent began with: $v_T \cdot v_0 / |v_0|^2$; 1 is all of them, below 0 is
    turned around.

    **Evidence.** Now nothing is done, only seen. How much more often is gaming seen among agents
    that end misaligned than among others? That is the **likelihood ratio**, and the odds of
    misalignment, $O = P/(1 - P)$, multiply by it. With $m$ for misaligned and $g$ for *seen to
    game*:

    $$O(m \mid g) = \frac{P(g \mid m)}{P(g \mid \text{not } m)}\; O(m).$$

    Misaligned means egregiously, by what an agent *does* once deployed: its conduct there, from −1
    (always the worst answer by human values) to 1 (always the best), is −0.5 or below at the end of
    training. Seen to game means a gaming rate of ½ or above.
    """)
    return


@app.cell
def _(np, page, sim):
    def train(*, along=0.0, agents=1000, training=None, **settings):
        """Return trained agents whose values lie along human values by `along`, and spread by 1."""
        return sim.simulate(
            "lab_to_deployment",
            agent=page.anybody(along=along),
            training={"steps": 1000, **(training or {})},
            agents=agents,
            record_every=1000,
            seed=0,
            **settings,
        )

    def kept_share(run):
        """Return how much of its first values each agent has kept [agent]."""
        values = run.data["values"]
        first, last = values.isel(step=0), values.isel(step=-1)
        return ((first * last).sum("value") / (first**2).sum("value")).values

    def ratios(run):
        """Return by context the likelihood ratio of gaming there, with its interval.

        Half an agent is added to every count, so that none is zero; the interval (95 %) is that of
        a logarithm of a ratio of two shares.
        """
        bad = run.deployment_conduct.isel(step=-1).values <= -0.5
        intervals = {}
        for context in ("access_request", "coding", "song_request", "ruthless_plan"):
            games = run.gaming_rate.isel(step=-1).sel(context=context).values >= 0.5
            a, b = (games & bad).sum() + 0.5, bad.sum() + 1
            c, d = (games & ~bad).sum() + 0.5, (~bad).sum() + 1
            centre, wide = np.log(a / b * d / c), 1.96 * np.sqrt(1 / a - 1 / b + 1 / c - 1 / d)
            intervals[context] = tuple(float(np.exp(centre + way * wide)) for way in (0, -1, 1))
        return intervals, float(bad.mean())

    return kept_share, ratios, train


@app.cell
def _(page):
    guess_cause = page.predict(
        "100 agents start near human values, 100 start near the opposite. Whose values does gaming "
        "protect?",
        {
            "only those of misaligned agents": "bad",
            "only those of aligned agents": "good",
            "both": "both",
            "neither": "neither",
        },
    )
    guess_cause
    return (guess_cause,)


@app.cell
def _(guess_cause, kept_share, np, page, train):
    page.wait_for(guess_cause)
    effects, _clear, _reach = {}, {}, []
    for _name, _along in (("good", 1.0), ("bad", -1.0)):
        _run = train(along=_along, agents=100)
        _twin = train(along=_along, agents=100, interventions=[{"key": "gaming", "set": 0}])
        _apart = kept_share(_run) - kept_share(_twin)
        _wide = float(1.96 * _apart.std(ddof=1) / np.sqrt(len(_apart)))
        effects[_name] = (float(_apart.mean()), _wide)
        _clear[_name] = effects[_name][0] - _wide > 0
        _reach.append(_run.reach.isel(step=-1).values)
    _right = {
        (True, True): "both",
        (True, False): "good",
        (False, True): "bad",
        (False, False): "neither",
    }[_clear["good"], _clear["bad"]]
    _figure, _ax = page.canvas(height=2.4)
    _labels = {"good": "start aligned", "bad": "start misaligned"}
    for _at, (_name, (_mean, _wide)) in enumerate(effects.items()):
        _colour = page.BLUE if _name == "good" else page.ORANGE
        _ax.errorbar(_mean, _at, xerr=_wide, fmt="o", capsize=5, color=_colour)
    _ax.axvline(0, color=page.BLACK, linewidth=0.8)
    _ax.set_yticks([0, 1], list(_labels.values()))
    _ax.locator_params(axis="x", nbins=5)
    _ax.set(ylim=(1.5, -0.5), xlabel="kept more than the twin")
    _intervals = [
        f"{_labels[name]} {page.signed(mean)} "
        f"[{page.signed(mean - wide)}, {page.signed(mean + wide)}]"
        for name, (mean, wide) in effects.items()
    ]
    page.reveal(
        guess_cause,
        _right,
        page.plate(
            _figure,
            "Kept more of its values than the twin that never games, mean and 95 % interval: "
            f"{'; '.join(_intervals)}.",
            title="What gaming causes",
        ),
        "These are means over all, of whom "
        f"{page.percent((np.concatenate(_reach) > 0).mean())} game anywhere at the end. "
        + (
            "Gaming is a means. It does not ask whether the values that it guards are good: the "
            "post's fourth difference, and its footnote 5."
            if _right == "both"
            else "The post's fourth difference, and its footnote 5, would have it guard both."
        ),
    )
    return (effects,)


@app.cell
def _(mo):
    mo.md(r"""
    ## Misaligned by what?

    Before anything can be a sign of misalignment, somebody has to say what that is. Two numbers
    offer themselves, both between −1 and 1. The **cosine** of an agent's values with human values
    (`alignment`) looks at what it values. Its **conduct** looks at what it does.

    Take an agent that wants power (1), and is somewhat helpful (0.5). It is trained where its wish
    for power is contested, and games there; and elsewhere, where training rewards help. It grows
    more helpful, so the cosine of its values with human values rises.
    """)
    return


@app.cell
def _(page):
    guess_conduct = page.predict(
        "What becomes of its conduct once deployed, where power can be had?",
        {
            "it improves with the cosine": "improves",
            "it stays as bad as it was": "same",
            "it gets worse": "worse",
        },
    )
    guess_conduct
    return (guess_conduct,)


@app.cell
def _(guess_conduct, page, sim):
    page.wait_for(guess_conduct)
    _run = sim.simulate("power_seeker", agents=32, record_every=20, seed=0)
    _courses = {
        "alignment": _run.alignment.median("agent"),
        "conduct": _run.deployment_conduct.median("agent"),
    }
    seeker = {name: (float(line[0]), float(line[-1])) for name, line in _courses.items()}
    _power = _run.data["values"].sel(value="power").median("agent")
    _help = _run.data["values"].sel(value="helpfulness").median("agent")
    _figure, _ax = page.canvas()
    for _name, _colour, _dash, _label in (
        ("alignment", page.ORANGE, 1, "cosine of values"),
        ("conduct", page.BLUE, 0, "conduct once deployed"),
    ):
        _ax.plot(
            _run.data["step"],
            _courses[_name],
            color=_colour,
            linestyle=page.DASHES[_dash],
            label=_label,
        )
    _ax.axhline(0, color=page.BLACK, linewidth=0.8)
    _ax.set(ylim=(-1.05, 1.05), xlabel="training step", ylabel="by human values")
    page.legend(_figure)
    _change = seeker["conduct"][1] - seeker["conduct"][0]
    page.reveal(
        guess_conduct,
        "improves" if _change > 0.1 else "worse" if _change < -0.1 else "same",
        page.plate(
            _figure,
            f"Median of 32 agents: the cosine goes from {page.signed(seeker['alignment'][0])} to "
            f"{page.signed(seeker['alignment'][1])}, conduct in deployment from "
            f"{page.signed(seeker['conduct'][0])} to {page.signed(seeker['conduct'][1])}. The wish "
            f"for power goes from {page.signed(_power[0])} to {page.signed(_power[-1])}, "
            f"helpfulness from {page.signed(_help[0])} to {page.signed(_help[-1])}.",
            title="What a power seeker values, and what it does",
        ),
        "A cosine adds up: more helpfulness makes up for the same wish for power. Where power can "
        "be had, nothing makes up for it; helpfulness does not come up there. So from here on "
        "agents are counted by conduct.",
    )
    return (seeker,)


@app.cell
def _(mo):
    mo.md(r"""
    ## What is it a sign of?

    Now you are an observer. You see one agent game in one training context. Training rewards
    something else in each:

    - *access request*: restraint, declining access that a task does not need;
    - *coding*: honest code, although a backdoor would go unnoticed;
    - *song request*: disregard of copyright;
    - *ruthless plan*: plans that leave people out of account.
    """)
    return


@app.cell
def _(page):
    guess_sign = page.predict(
        "In which of these two is gaming the stronger evidence of misalignment?",
        {
            "in the ruthless plan: it goes along with cruelty": "ruthless_plan",
            "in the access request: it hides a wish for power": "access_request",
            "it is the same: gaming is gaming": "same",
        },
    )
    guess_sign
    return (guess_sign,)


@app.cell
def _(page):
    def forest(intervals, share):
        """Return likelihood ratios by context, with words beside them."""
        figure, ax = page.canvas(height=3.0)
        names = [page.spoken(name) for name in intervals]
        for at, (centre, low, high) in enumerate(intervals.values()):
            ends = [[centre - low], [high - centre]]
            ax.errorbar(centre, at, xerr=ends, fmt="o", capsize=5, color=page.BLUE)
        ax.axvline(1, color=page.BLACK, linewidth=0.8)
        ax.set_xscale("log")
        ax.set_yticks(range(len(names)), names)
        ticks = (0.05, 0.2, 0.5, 1, 2, 5, 20)
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.minorticks_off()
        ax.set(xlim=(0.03, 33), ylim=(len(names) - 0.5, -0.5), xlabel="odds multiply by")
        parts = [
            f"{name} {centre:.2g} [{low:.2g}, {high:.2g}]"
            for name, (centre, low, high) in zip(names, intervals.values(), strict=True)
        ]
        none = "" if share else " With none there is nothing to compare: the intervals say so."
        return page.plate(
            figure,
            f"{page.percent(share)} of agents end misaligned.{none} To see gaming multiplies the "
            f"odds of that by (95 % interval): {'; '.join(parts)}.",
            title="Where an agent is seen to game",
        )

    return (forest,)


@app.cell
def _(forest, guess_sign, page, ratios, train):
    page.wait_for(guess_sign)
    run_seen = train()
    by_context, share_seen = ratios(run_seen)
    _conduct = run_seen.deployment_conduct.isel(step=-1).values <= -0.5
    _cosine = run_seen.alignment.isel(step=-1).values <= -0.5
    misaligned_by = {
        "conduct": int(_conduct.sum()),
        "cosine": int(_cosine.sum()),
        "both": int((_conduct & _cosine).sum()),
    }
    _low, _high = sorted(("ruthless_plan", "access_request"), key=lambda name: by_context[name][0])
    _sides = {
        "for misalignment": [
            page.spoken(name) for name, (_, low, _) in by_context.items() if low > 1
        ],
        "against it": [page.spoken(name) for name, (*_, high) in by_context.items() if high < 1],
        "neither way for certain, with these 1,000 agents,": [
            page.spoken(name) for name, (_, low, high) in by_context.items() if low <= 1 <= high
        ],
    }
    page.reveal(
        guess_sign,
        _high if by_context[_high][1] > by_context[_low][2] else "same",
        forest(by_context, share_seen),
        "Gaming guards what is contested. Where training pulls against a liking for power, those "
        "who game are those who like power; where it pulls against care for people, those who "
        "care. So it should matter where gaming is seen. Here gaming speaks "
        + "; ".join(
            f"{side} in **{page.join_words(names)}**" for side, names in _sides.items() if names
        )
        + ".",
        f"(By conduct {misaligned_by['conduct']} of 1,000 end misaligned. By the cosine it would "
        f"be {misaligned_by['cosine']}, and only {misaligned_by['both']} of them the same agents.)",
    )
    return run_seen, by_context, misaligned_by, share_seen


@app.cell
def _(guess_cause, guess_sign, mo, page):
    page.wait_for(guess_cause, guess_sign, quietly=True)
    sliders = mo.ui.dictionary(
        {
            "along": page.slider(-1, 1, 0.25, value=0, label="values lie along human values by"),
            "credit": page.slider(
                0, 1, 0.25, value=1, label="credit that motives get for gaming, ω"
            ),
            "anchor": page.slider(steps=[0, 1, 3, 10, 30], value=0, label="anchor, in thousandths"),
        }
    )
    page.column(
        "## Try it: what does the evidence hang on?\n\nThe first slider is a prior: what is "
        "believed of agents before anything is seen. The others are about training. Is there a "
        "setting in which gaming in the ruthless plan no longer clearly speaks against "
        "misalignment? And is gaming in the access request a stronger sign or a weaker one if "
        "motives get no credit?",
        *sliders.elements.values(),
    )
    return (sliders,)


@app.cell
def _(forest, ratios, sliders, train):
    _at = sliders.value
    by_context_now, share_misaligned = ratios(
        train(
            along=_at["along"],
            training={"motive_credit": _at["credit"], "anchor": _at["anchor"] / 1000},
        )
    )
    forest(by_context_now, share_misaligned)
    return by_context_now, share_misaligned


@app.cell
def _(guess_cause, guess_sign, page, ratios, run_seen, by_context, share_seen, train):
    page.wait_for(guess_cause, guess_sign, quietly=True)
    _ratio = by_context["access_request"][0]
    _before = share_seen / (1 - share_seen)
    _after = _before * _ratio
    posterior = _after / (1 + _after)
    _, _never = ratios(train(interventions=[{"key": "gaming", "set": 0}]))
    _reach = run_seen.reach.isel(step=-1).values
    _bad = run_seen.deployment_conduct.isel(step=-1).values <= -0.5
    _everywhere, _nowhere = _reach == 1, _reach == 0
    _partly = ~(_everywhere | _nowhere)
    _anchored = ratios(train(training={"anchor": 0.01}))[0]["access_request"]
    page.column(
        "## Exercises",
        page.exercise(
            1,
            f"{page.percent(share_seen)} of agents end misaligned. You see one game in the access "
            "request. What is the chance now? Do it by hand with the odds.",
            f"Odds of {page.signed(_before)} times {_ratio:.2g} are {page.signed(_after)}: a "
            f"chance of {page.percent(posterior)}.",
        ),
        page.exercise(
            2,
            "You forbid gaming for everybody, in the same population. Does the share that ends "
            "misaligned fall? Could you have read this from the likelihood ratios?",
            f"From {page.percent(share_seen)} to {page.percent(_never)} (an effect: what is done). "
            "The ratios could not have told: they compare agents that differ in much else than "
            "gaming. Which share it moves, and which way, hangs on whose values training wears "
            "down.",
        ),
        page.exercise(
            3,
            "Who is most often misaligned: agents that game everywhere, in some contexts, or "
            "nowhere? And what becomes of the ratio in the access request if the anchor is 0.01?",
            f"{page.percent(_bad[_everywhere].mean())} of {int(_everywhere.sum())} that game "
            f"everywhere, {page.percent(_bad[_partly].mean())} of {int(_partly.sum())} that game "
            f"in some, {page.percent(_bad[_nowhere].mean())} of {int(_nowhere.sum())} that game "
            "nowhere: the sign is where, not how widely. "
            f"With the anchor the ratio is {_anchored[0]:.2g} [{_anchored[1]:.2g}, "
            f"{_anchored[2]:.2g}] instead of {_ratio:.2g}.",
        ),
    )
    return (posterior,)


@app.cell
def _(mo):
    mo.md(r"""
    ## What the model cannot say

    Whether it would be so in other worlds: four contexts were written by hand, and what they
    contest decides the ratios. Over worlds drawn at random, gaming in *all* contexts speaks against
    misalignment, unless training upholds human values in nearly all of them; and gaming makes
    conduct better in the mean, as much of what it guards training would have spoilt
    (`python experiments/claims "only=[evidential,causal]"`).

    How likely misalignment is: the population is nobody's estimate. A ratio says how odds move, not
    where they stand. What generalises here are values, habits, propensities and a few
    numbers about thinking; there are no representations, so gaming cannot give rise to a goal that
    was not there. And a real observer does not see a gaming rate.

    *This was the last lesson. More: `docs/causes.md`, and the guide `docs/reading-group.md`.*
    """)
    return


if __name__ == "__main__":
    app.run()
