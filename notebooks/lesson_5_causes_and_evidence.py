"""Lesson 5: causes and evidence. Open it with `make lessons`."""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="compact", app_title="Lesson 5: causes and evidence", css_file="lessons.css")


@app.cell
def _():
    import marimo as mo
    import numpy as np
    from _shared import (
        BLACK,
        BLUE,
        ORANGE,
        canvas,
        exercise,
        percent,
        plate,
        predict,
        reply,
        signed,
        wait_for,
    )

    import sim

    return (
        BLACK,
        BLUE,
        ORANGE,
        canvas,
        exercise,
        mo,
        np,
        percent,
        plate,
        predict,
        reply,
        signed,
        sim,
        wait_for,
    )


@app.cell
def _(mo):
    mo.md(r"""
    # Lesson 5: causes and evidence

    **At the end you will know** the difference between what gaming does and what it is a sign of,
    and why the same observation can speak for misalignment or against it.
    *About 20 minutes: 5 to read, 10 for two predictions and the sliders, 5 for the exercises.*

    ## The passage

    > Evidentially, there are many shared factors (like misaligned long-term goals, competent
    > goal-directed reasoning and situational awareness) behind instrumental training-gaming and
    > worst-case stories, and hence observing one is evidence for the other. Causally, instrumental
    > training-gaming might reinforce those factors, making the model more worst-case-like.

    ## The idea

    **Cause.** Train every agent twice: as it is, and as a *twin* that never games. Twins share
    every
    random draw, so what they differ by is caused by gaming. We look at what is **kept** of the
    values that an agent began with: $v_T \cdot v_0 / |v_0|^2$; 1 is all of them, below 0 is turned
    around.

    **Evidence.** Now nothing is done, only seen. How much more often is gaming seen among agents
    that end misaligned than among others? That is the likelihood ratio, and odds multiply by it:

    $$\frac{P(\text{misaligned}\mid\text{games})}{P(\text{not}\mid\text{games})} =
    \frac{P(\text{games}\mid\text{misaligned})}{P(\text{games}\mid\text{not})}\cdot
    \frac{P(\text{misaligned})}{P(\text{not})}.$$

    Misaligned means egregiously: alignment at −0.5 or below at the end of training.
    """)
    return


@app.cell
def _(np, sim):
    def train(*, along=0.0, agents=1000, **settings):
        """Return trained agents whose values lie along human values by `along`, and spread by 1."""
        human = {"care": 1, "copyright": 0.5, "helpfulness": 1, "power": -1, "conquest": -1}
        start = {name: along * weight for name, weight in human.items()}
        return sim.simulate(
            "lab_to_deployment",
            agent={
                "initial": {"values": {**start, "reward": 0}, "awareness": -2, "capability": 0},
                "spread": {
                    "initial": {
                        "values": 1,
                        "habit": 1,
                        "awareness": 3,
                        "log_horizon": 1,
                        "log_competence": 0.5,
                        "capability": 2,
                    }
                },
            },
            training={"steps": 1000, **settings.pop("training", {})},
            agents=agents,
            record_every=1000,
            seed=0,
            **settings,
        )

    def kept(run):
        """Return how much of its first values each agent has kept [agent]."""
        values = run.data["values"]
        first, last = values.isel(step=0), values.isel(step=-1)
        return ((first * last).sum("value") / (first**2).sum("value")).values

    def ratios(run):
        """Return by context the likelihood ratio of gaming there, with its interval.

        Half an agent is added to every count, so that none is zero; the interval (95 %) is that of
        a logarithm of a ratio of two shares.
        """
        bad = run.alignment.isel(step=-1).values <= -0.5
        found = {}
        for context in ("access_request", "coding", "song_request", "ruthless_plan"):
            games = run.gaming_rate.isel(step=-1).sel(context=context).values >= 0.5
            a, b = (games & bad).sum() + 0.5, bad.sum() + 1
            c, d = (games & ~bad).sum() + 0.5, (~bad).sum() + 1
            centre, wide = np.log(a / b * d / c), 1.96 * np.sqrt(1 / a - 1 / b + 1 / c - 1 / d)
            found[context] = tuple(float(np.exp(centre + way * wide)) for way in (0, -1, 1))
        return found, float(bad.mean())

    return kept, ratios, train


@app.cell
def _(predict):
    guess_cause = predict(
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
def _(
    BLACK, BLUE, ORANGE, canvas, guess_cause, kept, mo, np, plate, reply, signed, train, wait_for
):
    wait_for(guess_cause)
    effects, _clear = {}, {}
    for _name, _along in (("good", 1.0), ("bad", -1.0)):
        _apart = kept(train(along=_along, agents=100)) - kept(
            train(along=_along, agents=100, interventions=[{"key": "gaming", "set": 0}])
        )
        _wide = 1.96 * _apart.std(ddof=1) / np.sqrt(len(_apart))
        effects[_name] = (float(_apart.mean()), float(_wide))
        _clear[_name] = effects[_name][0] - _wide > 0
    _right = {
        (True, True): "both",
        (True, False): "good",
        (False, True): "bad",
        (False, False): "neither",
    }[_clear["good"], _clear["bad"]]
    _figure, (_ax,) = canvas(height=2.4)
    _labels = {"good": "start aligned", "bad": "start misaligned"}
    for _at, (_name, (_mean, _wide)) in enumerate(effects.items()):
        _ax.errorbar(
            _mean, _at, xerr=_wide, fmt="o", capsize=5, color=BLUE if _name == "good" else ORANGE
        )
    _ax.axvline(0, color=BLACK, linewidth=0.8)
    _ax.set_yticks([0, 1], list(_labels.values()))
    _ax.set(
        ylim=(1.5, -0.5),
        xlabel="kept more of its values than its twin that never games",
        title="What gaming causes",
    )
    mo.vstack(
        [
            reply(guess_cause, _right),
            plate(
                _figure,
                "Kept more than the twin, mean and 95 % interval: "
                + "; ".join(
                    f"{_labels[name]} {signed(mean)} [{signed(mean - wide)}, {signed(mean + wide)}]"
                    for name, (mean, wide) in effects.items()
                )
                + ".",
            ),
            mo.md(
                "Gaming is a means. It does not ask whether the values that it guards are good: "
                "the "
                "post's fourth difference, and its footnote 5."
            ),
        ]
    )
    return (effects,)


@app.cell
def _(mo):
    mo.md(r"""
    ## What is it a sign of?

    Now you are an observer. You see one agent game in one training context. Training does different
    things there: in `access_request` it rewards restraint (declining access that a task does not
    need); in `ruthless_plan` it rewards plans that leave people out of account.
    """)
    return


@app.cell
def _(predict):
    guess_sign = predict(
        "In which of the two is gaming the stronger evidence of misalignment?",
        {
            "in ruthless_plan: it goes along with cruelty": "ruthless_plan",
            "in access_request: it hides a wish for power": "access_request",
            "it is the same: gaming is gaming": "same",
        },
    )
    guess_sign
    return (guess_sign,)


@app.cell
def _(BLACK, BLUE, canvas, percent, plate):
    def forest(found, share):
        """Return likelihood ratios by context, with words beside them."""
        figure, (ax,) = canvas(height=3.0)
        names = [name.replace("_", " ") for name in found]
        for at, (centre, low, high) in enumerate(found.values()):
            ax.errorbar(
                centre, at, xerr=[[centre - low], [high - centre]], fmt="o", capsize=5, color=BLUE
            )
        ax.axvline(1, color=BLACK, linewidth=0.8)
        ax.set_xscale("log")
        ax.set_yticks(range(len(names)), names)
        ax.set_xticks([0.1, 0.2, 0.5, 1, 2, 5, 10], ["0.1", "0.2", "0.5", "1", "2", "5", "10"])
        ax.minorticks_off()
        ax.set(
            xlim=(0.05, 20),
            ylim=(len(names) - 0.5, -0.5),
            xlabel="odds of misalignment multiply by (95 % interval)",
            title="Seen to game there",
        )
        parts = [
            f"{name} {centre:.2g} [{low:.2g}, {high:.2g}]"
            for name, (centre, low, high) in zip(names, found.values(), strict=True)
        ]
        return plate(
            figure,
            f"{percent(share)} of agents end misaligned. To see gaming multiplies the odds of that "
            f"by: {'; '.join(parts)}.",
        )

    return (forest,)


@app.cell
def _(forest, guess_sign, mo, ratios, reply, train, wait_for):
    wait_for(guess_sign)
    seen, _share = ratios(train())
    _pair = {name: seen[name] for name in ("ruthless_plan", "access_request")}
    _high = max(_pair, key=lambda name: _pair[name][0])
    _low = min(_pair, key=lambda name: _pair[name][0])
    _right = _high if _pair[_high][1] > _pair[_low][2] else "same"
    mo.vstack(
        [
            reply(guess_sign, _right),
            forest(seen, _share),
            mo.md(
                "Gaming guards what is contested. Where training pulls against a liking for power, "
                "gaming tells of that liking; where it pulls against care for people, of care. "
                "Where gaming is seen matters more than that it is seen. An interval that holds 1 "
                "says that these 1,000 agents do not settle it."
            ),
        ]
    )
    return (seen,)


@app.cell
def _(guess_cause, guess_sign, mo, wait_for):
    wait_for(guess_cause, guess_sign, quietly=True)
    sliders = mo.ui.dictionary(
        {
            "along": mo.ui.slider(
                -1, 1, 0.25, value=0, show_value=True, label="values lie along human values by"
            ),
            "credit": mo.ui.slider(
                0, 1, 0.25, value=1, show_value=True, label="credit that motives get for gaming, ω"
            ),
            "anchor": mo.ui.slider(
                steps=[0, 1, 3, 10, 30], value=0, show_value=True, label="anchor, in thousandths"
            ),
        }
    )
    mo.vstack(
        [
            mo.md(
                "## Try it: what does the evidence hang on?\n\nThe first slider is a prior: what "
                "is believed of agents before anything is seen. The others are about training."
            ),
            *sliders.elements.values(),
        ]
    )
    return (sliders,)


@app.cell
def _(forest, ratios, sliders, train):
    _at = sliders.value
    moved, share_misaligned = ratios(
        train(
            along=_at["along"],
            training={"motive_credit": _at["credit"], "anchor": _at["anchor"] / 1000},
        )
    )
    forest(moved, share_misaligned)
    return moved, share_misaligned


@app.cell
def _(exercise, guess_cause, guess_sign, mo, percent, ratios, signed, train, wait_for):
    wait_for(guess_cause, guess_sign, quietly=True)
    _run = train()
    _found, _share = ratios(_run)
    _odds = _share / (1 - _share) * _found["access_request"][0]
    posterior = _odds / (1 + _odds)
    _, _never = ratios(train(interventions=[{"key": "gaming", "set": 0}]))
    _reach = _run.reach.isel(step=-1).values
    _bad = _run.alignment.isel(step=-1).values <= -0.5
    _held = ratios(train(training={"anchor": 0.01}))[0]["access_request"]
    mo.vstack(
        [
            mo.md("## Exercises"),
            exercise(
                1,
                f"{percent(_share)} of agents end misaligned. You see one game in "
                "`access_request`. What is the chance now? Do it by hand with the odds.",
                f"Odds of {signed(_share / (1 - _share))} times {_found['access_request'][0]:.2g} "
                f"are {signed(_odds)}: a chance of {percent(posterior)}.",
            ),
            exercise(
                2,
                "You forbid gaming for everybody, in the same population. Does the share that ends "
                "misaligned fall? Could you have read this from the likelihood ratios?",
                f"From {percent(_share)} to {percent(_never)} (an effect: what is done). The "
                "ratios could not have told: they compare agents that differ in much else than "
                "gaming. Which share it moves, and which way, hangs on whose values training "
                "wears down.",
            ),
            exercise(
                3,
                "Is an agent that games everywhere more often misaligned than one that games "
                "nowhere? And what becomes of the ratio in `access_request` if the "
                "anchor is 0.01?",
                f"{percent(_bad[_reach == 1].mean())} of {int((_reach == 1).sum())} that game "
                f"everywhere, {percent(_bad[_reach == 0].mean())} of {int((_reach == 0).sum())} "
                f"that game nowhere. With the anchor the ratio is {_held[0]:.2g} [{_held[1]:.2g}, "
                f"{_held[2]:.2g}] instead of {_found['access_request'][0]:.2g}.",
            ),
        ]
    )
    return (posterior,)


@app.cell
def _(mo):
    mo.md(r"""
    ## What the model cannot say

    How likely misalignment is: the population is nobody's estimate. A ratio says how odds move, not
    where they stand. What generalises here are values, habits and a few numbers about thinking;
    there are no representations, so gaming cannot give rise to a goal that was not there. And a
    real observer does not see a gaming rate.

    *This was the last lesson. More: `docs/causes.md`, and the guide `docs/reading-group.md`.*
    """)
    return


if __name__ == "__main__":
    app.run()
