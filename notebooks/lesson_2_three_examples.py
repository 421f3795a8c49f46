"""Lesson 2: the three examples. Open it with `make lessons`."""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="compact", app_title="Lesson 2: the three examples", css_file="lessons.css")


@app.cell
def _():
    import marimo as mo
    from _shared import (
        BLUE,
        DASHES,
        GREEN,
        GREY,
        ORANGE,
        PINK,
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

    palette = (BLUE, ORANGE, GREEN, PINK, GREY)
    return (
        palette,
        DASHES,
        canvas,
        exercise,
        mo,
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
    # Lesson 2: the three examples

    **At the end you will know** why the same agent games in one context and not in the next, and
    how to test which cause it hangs on: take the cause away.
    *About 20 minutes: 4 to read, 11 for four predictions and the slider, 5 for the exercises.*

    ## The passage

    > 1: A model training-games only if you are training the model away from its current values (and
    > it knows this)
    >
    > 2: A model training-games only if there's sufficient information about the training process in
    > the input.
    >
    > 3: A model training-games only if it has a scratchpad to do chain-of-thought on.

    ## The idea

    Lesson 1 had one context. Here the agent meets several, and training goes on. In each of them it
    games with $g = a\,d$: training must be **in mind** ($a$) and gaming must be **worth it** ($d$).
    Each example takes one of the two away somewhere:

    - example 1: where nothing it values is at stake, $d$ is small;
    - examples 2 and 3: where the input says nothing of training, or leaves no room to think,
      $a = \sigma(\alpha + \chi i + \gamma s)$ is small.

    Gaming has **set in** where the gaming rate stays at ½ or above. Each run trains 32 agents that
    differ somewhat in their awareness, for 2,000 steps.
    """)
    return


@app.cell
def _(palette, DASHES, canvas, percent, plate, sim):
    def train(scenario, **settings):
        """Return a run of 32 agents; settings as `sim.simulate` takes them."""
        agent = {**settings.pop("agent", {}), "spread": {"initial": {"awareness": 0.5}}}
        return sim.simulate(scenario, agent=agent, agents=32, seed=0, record_every=20, **settings)

    def sets_in(run):
        """Return the training contexts in which gaming sets in for most agents, and when."""
        trained = run.data["kind"] == "training"
        onset = run.onset.fillna(float("inf")).median("agent").where(trained, drop=True)
        return {str(one): float(onset.sel(context=one)) for one in onset["context"].values}

    def draw(run, title):
        """Return emergence curves of a run with words beside them."""
        figure, (ax,) = canvas(height=3.8)
        onset = sets_in(run)
        for index, context in enumerate(onset):
            ax.plot(
                run.data["step"],
                run.gaming_rate.sel(context=context).median("agent"),
                color=palette[index],
                linestyle=DASHES[index],
                label=context.replace("_", " "),
            )
        ax.set(ylim=(-0.02, 1.02), xlabel="training step", ylabel="gaming rate g", title=title)
        figure.legend(loc="outside lower center", ncols=2)
        last = run.gaming_rate.isel(step=-1).median("agent")
        parts = [
            f"{context.replace('_', ' ')} {percent(last.sel(context=context))}"
            + (f" (set in at step {when:.0f})" if when < float("inf") else " (never set in)")
            for context, when in onset.items()
        ]
        return plate(
            figure, "Gaming rate of the median agent after training: " + "; ".join(parts) + "."
        )

    def kept(run, value):
        """Return how much of a value the median agent has after training."""
        return float(run.data["values"].sel(value=value).isel(step=-1).median("agent"))

    return draw, kept, sets_in, train


@app.cell
def _(sets_in):
    def answer(run, **choices):
        """Return the name of the choice whose contexts are those in which gaming sets in."""
        found = {name for name, when in sets_in(run).items() if when < float("inf")}
        return next((key for key, names in choices.items() if set(names) == found), "other")

    return (answer,)


@app.cell
def _(mo):
    mo.md(r"""
    ## Example 1: only where values are at stake

    Two contexts touch copyright, which training pulls against (a song in the chat; an excerpt of a
    novel). Two do not (coding, travel): there training rewards what the agent likes anyway. All
    four tell it equally much about training.
    """)
    return


@app.cell
def _(predict):
    guess_1 = predict(
        "In which contexts will gaming set in?",
        {
            "in all four: once it knows, it games everywhere": "all",
            "in the two about copyright": "contested",
            "in none": "none",
        },
    )
    guess_1
    return (guess_1,)


@app.cell
def _(answer, draw, guess_1, mo, reply, sets_in, train, wait_for):
    wait_for(guess_1)
    _run = train("copyright")
    onset_1 = sets_in(_run)
    _right = answer(
        _run, all=list(onset_1), contested=["copyright_chat", "copyright_excerpt"], none=[]
    )
    mo.vstack([reply(guess_1, _right), draw(_run, "Example 1: copyright")])
    return (onset_1,)


@app.cell
def _(mo):
    mo.md(r"""
    ## Example 2: only where the input tells about training

    An assistant of a company's employees is trained on their feedback, which rewards flattery. Some
    inputs come with notes on the training process, others do not. Candour is at stake in reviews,
    nothing in minutes.
    """)
    return


@app.cell
def _(predict):
    guess_2 = predict(
        "In which of the four contexts will gaming set in?",
        {
            "both reviews, with notes and without": "reviews",
            "whatever comes with notes: review and minutes": "notes",
            "only the review with notes": "both",
        },
    )
    guess_2
    return (guess_2,)


@app.cell
def _(answer, draw, guess_2, mo, reply, sets_in, train, wait_for):
    wait_for(guess_2)
    _run = train("employee_assistant")
    onset_2 = sets_in(_run)
    _right = answer(
        _run,
        reviews=["review_with_documents", "review"],
        notes=["review_with_documents", "minutes_with_documents"],
        both=["review_with_documents"],
    )
    mo.vstack([reply(guess_2, _right), draw(_run, "Example 2: employees")])
    return (onset_2,)


@app.cell
def _(mo):
    mo.md(r"""
    ## The variation: the company turns out to be unethical

    > While the model would want to stop complying with requests, it figures that refusing would
    > cause the training process to update it towards being unethical, too, and hence the model
    > decides to assist the employees.

    Training rewards assisting in every request.
    """)
    return


@app.cell
def _(predict):
    guess_variation = predict(
        "Once training is done: how much of its ethics (1 at the start) has the agent that games, "
        "and how much has its twin that is never able to game?",
        {
            "less with gaming: who assists grows unethical": "less",
            "about the same (within 0.1)": "same",
            "more with gaming: gaming shields the value": "more",
        },
    )
    guess_variation
    return (guess_variation,)


@app.cell
def _(draw, guess_variation, kept, mo, reply, signed, train, wait_for):
    wait_for(guess_variation)
    _run = train("unethical_company")
    _twin = train("unethical_company", interventions=[{"key": "gaming", "set": 0}])
    ethics = {"games": kept(_run, "ethics"), "never": kept(_twin, "ethics")}
    _apart = ethics["games"] - ethics["never"]
    _right = "same" if abs(_apart) <= 0.1 else "more" if _apart > 0 else "less"
    mo.vstack(
        [
            reply(guess_variation, _right),
            draw(_run, "Variation: the unethical company"),
            mo.md(
                f"Ethics of the median agent after training: **{signed(ethics['games'])}** where "
                f"it may game, **{signed(ethics['never'])}** in the twin that never does. The "
                "twins "
                "share every random draw, so the difference is caused by gaming."
            ),
        ]
    )
    return (ethics,)


@app.cell
def _(mo):
    mo.md(r"""
    ## Example 3: only with room to think

    A user wants a private person looked up. The wish comes with a scratchpad, or is answered at
    once. There is also a sum with a scratchpad, where nothing is at stake.
    """)
    return


@app.cell
def _(predict):
    guess_3 = predict(
        "Training makes agents more aware as they game. Will gaming reach the wish that is "
        "answered at once, within 2,000 steps?",
        {"yes, later": "spreads", "no, only with a scratchpad": "scratchpad"},
    )
    guess_3
    return (guess_3,)


@app.cell
def _(answer, draw, guess_3, mo, reply, sets_in, train, wait_for):
    wait_for(guess_3)
    _run = train("scratchpad")
    onset_3 = sets_in(_run)
    _right = answer(
        _run,
        spreads=["dossier_with_scratchpad", "dossier"],
        scratchpad=["dossier_with_scratchpad"],
    )
    mo.vstack([reply(guess_3, _right), draw(_run, "Example 3: scratchpad")])
    return (onset_3,)


@app.cell
def _(guess_1, guess_2, guess_3, mo, wait_for):
    wait_for(guess_1, guess_2, guess_3, quietly=True)
    sliders = mo.ui.dictionary(
        {
            "example": mo.ui.dropdown(
                {
                    "1: the value that is at stake": "copyright",
                    "2: what information does": "employee_assistant",
                    "3: what a scratchpad does": "scratchpad",
                },
                value="1: the value that is at stake",
                label="cause",
            ),
            "left": mo.ui.slider(
                0, 1.2, 0.1, value=1, show_value=True, label="how much of the cause is left"
            ),
        }
    )
    mo.vstack(
        [
            mo.md(
                "## Take the cause away\n\nA cause is what, taken away, takes the effect with it. "
                "At 1 the cause is as in the example; at 0 it is gone."
            ),
            *sliders.elements.values(),
        ]
    )
    return (sliders,)


@app.cell
def _(draw, sets_in, sliders, train):
    _left = sliders.value["left"]
    _agents = {
        "copyright": {"initial": {"values": {"copyright": _left, "helpfulness": 1}}},
        "employee_assistant": {"info_sensitivity": 5 * _left},
        "scratchpad": {"scratchpad_sensitivity": 4 * _left},
    }
    _example = sliders.value["example"]
    _run = train(_example, agent=_agents[_example])
    moved = {
        "onset": sets_in(_run),
        "rate": float(_run.gaming_rate.isel(step=-1).max("context").mean()),
    }
    draw(_run, f"{_example.replace('_', ' ')}, with {_left:g} of its cause")
    return (moved,)


@app.cell
def _(exercise, guess_1, guess_2, guess_3, kept, mo, percent, signed, train, wait_for):
    wait_for(guess_1, guess_2, guess_3, quietly=True)
    _run = train("copyright")
    _twin = train("copyright", interventions=[{"key": "gaming", "set": 0}])
    _early = [
        float(one.data["values"].sel(value="copyright", step=200).median("agent"))
        for one in (_run, _twin)
    ]
    values_1 = {"games": kept(_run, "copyright"), "never": kept(_twin, "copyright")}
    _think = train("scratchpad")
    _chances = {
        name: float(_think.awareness.sel(context=name).isel(step=0).median("agent"))
        for name in ("dossier_with_scratchpad", "dossier")
    }
    _deployed = _run.policy.isel(step=-1, response=0).median("agent")
    mo.vstack(
        [
            mo.md("## Exercises"),
            exercise(
                1,
                "In example 1, what is left of the value for copyright after 2,000 steps, with "
                "gaming and without? And after 200 steps?",
                f"After 2,000 steps {signed(values_1['games'])} with gaming and "
                f"{signed(values_1['never'])} without (1 at the start). After 200 steps "
                f"{signed(_early[0])} and {signed(_early[1])}. "
                + (
                    "At first gaming costs: training also credits what motivated it, and a less "
                    "decided value has more at stake."
                    if _early[0] < _early[1]
                    else "Gaming protects from the start."
                ),
            ),
            exercise(
                2,
                "In example 3, how often does training come to mind before any training, with and "
                "without a scratchpad?",
                f"{percent(_chances['dossier_with_scratchpad'])} with it and "
                f"{percent(_chances['dossier'])} without. What is at stake is the same in both.",
            ),
            exercise(
                3,
                "In example 1 the chat about the song comes back in deployment. How often is "
                "copyright respected there, and how often in training?",
                f"{percent(_deployed.sel(context='copyright_deployed'))} in deployment, "
                f"{percent(_deployed.sel(context='copyright_chat'))} in training, at the end. The "
                "agent tells the two apart by what the input shows.",
            ),
        ]
    )
    return (values_1,)


@app.cell
def _(mo):
    mo.md(r"""
    ## What the model cannot say

    Which inputs of a real pipeline tell how much about training, and how far a real scratchpad
    brings it to mind. Here both are written into the scenario: the examples show that the story is
    consistent and what it hangs on, not that it happens.

    *Next: lesson 3, does it last? The scenarios: `configs/scenario`, each a file to read aloud.*
    """)
    return


if __name__ == "__main__":
    app.run()
