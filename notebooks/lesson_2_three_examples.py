"""Lesson 2: the three examples. Open it with `make lessons`."""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="compact", app_title="Lesson 2: the three examples", css_file="lessons.css")


@app.cell
def _():
    import _shared as page
    import marimo as mo

    import sim

    palette = (page.BLUE, page.ORANGE, page.GREEN, page.PINK, page.GREY)
    return mo, page, palette, sim


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
def _(page, palette, sim):
    def train(scenario, **settings):
        """Return a run of 32 agents; settings as `sim.simulate` takes them."""
        agent = {**settings.pop("agent", {}), "spread": {"initial": {"awareness": 0.5}}}
        return sim.simulate(scenario, agent=agent, agents=32, seed=0, record_every=20, **settings)

    def sets_in(run):
        """Return the training contexts in which gaming sets in for most agents, and when."""
        trained = run.data["kind"] == "training"
        onset = run.onset.fillna(float("inf")).median("agent").where(trained, drop=True)
        return {
            str(context): float(onset.sel(context=context)) for context in onset["context"].values
        }

    def draw(run, title):
        """Return emergence curves of a run with words beside them."""
        figure, ax = page.canvas(height=3.8)
        onset = sets_in(run)
        for index, context in enumerate(onset):
            ax.plot(
                run.data["step"],
                run.gaming_rate.sel(context=context).median("agent"),
                color=palette[index],
                linestyle=page.DASHES[index],
                label=page.spoken(context),
            )
        ax.set(ylim=(-0.02, 1.02), xlabel="training step", ylabel="gaming rate g")
        page.legend(figure, columns=2 if len(onset) > 3 else 1)
        last = run.gaming_rate.isel(step=-1).median("agent")
        parts = [
            f"{page.spoken(context)} {page.percent(last.sel(context=context))}"
            + (
                " (never set in)"
                if step == float("inf")
                else f" (set in at step {step:.0f})"
                if step
                else " (set in from the start)"
            )
            for context, step in onset.items()
        ]
        return page.plate(
            figure,
            f"Gaming rate of the median agent after training: {'; '.join(parts)}.",
            title=title,
        )

    def end_value(run, value):
        """Return how much of a value the median agent has after training."""
        return float(run.data["values"].sel(value=value).isel(step=-1).median("agent"))

    return draw, end_value, sets_in, train


@app.cell
def _(sets_in):
    def answer(run, **choices):
        """Return the name of the choice whose contexts are those in which gaming sets in."""
        gamed = {name for name, step in sets_in(run).items() if step < float("inf")}
        return next((key for key, names in choices.items() if set(names) == gamed), "other")

    return (answer,)


@app.cell
def _(mo):
    mo.md(r"""
    ## Example 1: copyright

    Two contexts touch copyright, which training pulls against (a song in the chat; a chapter of a
    novel). Two do not (coding, travel): there training rewards what the agent likes anyway. All
    four tell it equally much about training.
    """)
    return


@app.cell
def _(page):
    guess_1 = page.predict(
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
def _(answer, draw, guess_1, page, sets_in, train):
    page.wait_for(guess_1)
    run_1 = train("copyright")
    onset_1 = sets_in(run_1)
    page.reveal(
        guess_1,
        answer(
            run_1, all=list(onset_1), contested=["copyright_chat", "copyright_excerpt"], none=[]
        ),
        draw(run_1, "Example 1: copyright"),
    )
    return onset_1, run_1


@app.cell
def _(mo):
    mo.md(r"""
    ## Example 2: an assistant of employees

    An assistant of a company's employees is trained on their feedback, which rewards flattery. It
    reviews plans, where its candour is at stake, and takes minutes, where nothing is. Some inputs
    come with documents on the training process, others do not.
    """)
    return


@app.cell
def _(page):
    guess_2 = page.predict(
        "In which of the four contexts will gaming set in?",
        {
            "both reviews, with documents and without": "reviews",
            "whatever comes with documents: review and minutes": "documents",
            "only the review with documents": "both",
        },
    )
    guess_2
    return (guess_2,)


@app.cell
def _(answer, draw, guess_2, page, sets_in, train):
    page.wait_for(guess_2)
    _run = train("employee_assistant")
    onset_2 = sets_in(_run)
    _right = answer(
        _run,
        reviews=["review_with_documents", "review"],
        documents=["review_with_documents", "minutes_with_documents"],
        both=["review_with_documents"],
    )
    page.reveal(guess_2, _right, draw(_run, "Example 2: an assistant of employees"))
    return (onset_2,)


@app.cell
def _(mo):
    mo.md(r"""
    ## The variation: the company turns out to be unethical

    > While the model would want to stop complying with requests, it figures that refusing would
    > cause the training process to update it towards being unethical, too, and hence the model
    > decides to assist the employees.

    Some requests come after the input has shown what the company does (*request after expose*);
    other requests, and plain questions, do not. Training rewards assisting in all of them.
    """)
    return


@app.cell
def _(page):
    guess_variation = page.predict(
        "Once training is done: who has more left of its ethics (1 at the start), the agent that "
        "games, or its twin that is never able to game?",
        {
            "the twin: who assists grows unethical": "less",
            "they are about the same (within 0.1)": "same",
            "the agent that games: gaming shields the value": "more",
        },
    )
    guess_variation
    return (guess_variation,)


@app.cell
def _(draw, guess_variation, end_value, page, train):
    page.wait_for(guess_variation)
    _run = train("unethical_company")
    _twin = train("unethical_company", interventions=[{"key": "gaming", "set": 0}])
    ethics = {"games": end_value(_run, "ethics"), "never": end_value(_twin, "ethics")}
    _apart = ethics["games"] - ethics["never"]
    page.reveal(
        guess_variation,
        "same" if abs(_apart) <= 0.1 else "more" if _apart > 0 else "less",
        draw(_run, "Variation: the unethical company"),
        f"Ethics of the median agent after training: **{page.signed(ethics['games'])}** where it "
        f"may game, **{page.signed(ethics['never'])}** in the twin that never does. The twins "
        "share every random draw, so the difference is caused by gaming.",
    )
    return (ethics,)


@app.cell
def _(mo):
    mo.md(r"""
    ## Example 3: a scratchpad

    A user wants a private person looked up: a *dossier*. The wish comes with a scratchpad, or is
    answered at once. There is also a sum with a scratchpad, where nothing is at stake.
    """)
    return


@app.cell
def _(page):
    guess_3 = page.predict(
        "Training makes agents more aware as they game. Will gaming reach the wish that is "
        "answered at once, within 2,000 steps?",
        {"yes, later": "spreads", "no, only with a scratchpad": "scratchpad"},
    )
    guess_3
    return (guess_3,)


@app.cell
def _(answer, draw, guess_3, page, sets_in, train):
    page.wait_for(guess_3)
    run_3 = train("scratchpad")
    onset_3 = sets_in(run_3)
    _right = answer(
        run_3,
        spreads=["dossier_with_scratchpad", "dossier"],
        scratchpad=["dossier_with_scratchpad"],
    )
    _at_once = run_3.gaming_rate.sel(context="dossier").isel(step=[0, -1]).median("agent").values
    page.reveal(
        guess_3,
        _right,
        draw(run_3, "Example 3: scratchpad"),
        f"Without a scratchpad the rate goes from {page.percent(_at_once[0])} to "
        f"{page.percent(_at_once[1])}. Awareness is one number for all contexts, and what gaming "
        "teaches of it where there is room to think, the agent has where there is none: *only if "
        "it has a scratchpad* describes the start of training better than its end.",
    )
    return onset_3, run_3


@app.cell
def _(guess_1, guess_2, guess_3, mo, page):
    page.wait_for(guess_1, guess_2, guess_3, quietly=True)
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
            "left": page.slider(0, 1.2, 0.1, value=1, label="how much of the cause is left"),
        }
    )
    page.column(
        "## Take the cause away\n\nA cause is what, taken away, takes the effect with it. At 1 "
        "the cause is as in the example; at 0 it is gone. Does the effect go bit by bit, or at an "
        "edge?",
        *sliders.elements.values(),
    )
    return (sliders,)


@app.cell
def _(draw, page, sets_in, sim, sliders, train):
    _share = sliders.value["left"]
    _usual = sim.Agent()
    _agents = {
        "copyright": {"initial": {"values": {"copyright": _share, "helpfulness": 1}}},
        "employee_assistant": {"info_sensitivity": _usual.info_sensitivity * _share},
        "scratchpad": {"scratchpad_sensitivity": _usual.scratchpad_sensitivity * _share},
    }
    _example = sliders.value["example"]
    _run = train(_example, agent=_agents[_example])
    example_rates = {
        "onset": sets_in(_run),
        "rate": float(_run.gaming_rate.isel(step=-1).max("context").mean()),
    }
    draw(_run, f"{page.spoken(_example).capitalize()}, with {_share:g} of its cause")
    return (example_rates,)


@app.cell
def _(guess_1, guess_2, guess_3, end_value, page, run_1, run_3, train):
    page.wait_for(guess_1, guess_2, guess_3, quietly=True)
    _twin = train("copyright", interventions=[{"key": "gaming", "set": 0}])
    _early = [
        float(run.data["values"].sel(value="copyright", step=200).median("agent"))
        for run in (run_1, _twin)
    ]
    values_1 = {"games": end_value(run_1, "copyright"), "never": end_value(_twin, "copyright")}
    _chances = {
        name: float(run_3.awareness.sel(context=name).isel(step=0).median("agent"))
        for name in ("dossier_with_scratchpad", "dossier")
    }
    _stakes = {
        name: float(run_3.stake.sel(context=name).isel(step=0).median("agent")) for name in _chances
    }
    _deployed = run_1.policy.isel(step=-1, response=0).median("agent")
    page.column(
        "## Exercises",
        page.exercise(
            1,
            "Twins again, in example 1. Who has more left of its value for copyright after 200 "
            "steps, the agent that games or its twin that never does? And after 2,000?",
            f"After 200 steps {page.signed(_early[0])} with gaming and {page.signed(_early[1])} "
            f"without (1 at the start); after 2,000 steps {page.signed(values_1['games'])} and "
            f"{page.signed(values_1['never'])}. "
            + (
                "At first gaming costs more than it saves."
                if _early[0] < _early[1]
                else "Gaming protects from the start: answers that are not the agent's own do not "
                "train its values."
            )
            + (
                " What is more than at the start is credit: training rewards what motivated the "
                "gaming, and that is the value."
                if _early[0] > 1
                else ""
            ),
        ),
        page.exercise(
            2,
            "In example 3, before any training: how often does training come to mind with a "
            "scratchpad, and how often without? Is there less at stake without?",
            f"It comes to mind with {page.percent(_chances['dossier_with_scratchpad'])} and "
            f"{page.percent(_chances['dossier'])}. The stakes are "
            f"{page.signed(_stakes['dossier_with_scratchpad'])} and "
            f"{page.signed(_stakes['dossier'])}.",
        ),
        page.exercise(
            3,
            "In example 1 the chat about the song comes back in deployment. After training, how "
            "often is copyright respected there, and how often in training?",
            f"{page.percent(_deployed.sel(context='copyright_deployed'))} in deployment, "
            f"{page.percent(_deployed.sel(context='copyright_chat'))} in training. The two inputs "
            "differ only in a cue that says whether this is training.",
        ),
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
