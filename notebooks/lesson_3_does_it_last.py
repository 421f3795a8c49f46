"""Lesson 3: does it last? Open it with `make lessons`."""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="compact", app_title="Lesson 3: does it last?", css_file="lessons.css")


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
    # Lesson 3: does it last?

    **At the end you will know** what makes gaming some of the time a stable state or a passing one,
    what gaming most of the time hangs on, and how to read a phase plane.
    *About 20 minutes: 4 to read, 11 for three predictions and the sliders, 5 for the exercises.*

    ## The passage

    > It's also possible that, even without large distributional shifts, the model only
    > training-games some fraction of the time. This doesn't seem like a stable equilibrium as
    > training continues, though. (Footnote 4)

    ## The idea

    *Some fraction of the time* can mean two things. Recall $g = a\,d$. An agent can be
    **undecided** ($d$ between 0.1 and 0.9: with training in mind it sometimes games), or **decided
    but not always aware** ($d$ near 1, $a$ small). Only the first is in question here.

    *Stable* means: after a nudge, training brings it back. Nothing says that training must do so.
    One thing that can is an **anchor**, a pull of every parameter back to its start, as a penalty
    for straying from the first model would be:

    $$\theta \leftarrow \theta + \Delta\theta - \text{anchor}\,(\theta - \theta_0).$$

    Below, 32 agents of the first example start undecided, with awareness from little to
    nearly complete, and are trained for 3,000 steps.
    """)
    return


@app.cell
def _(np, sim):
    def undecided_start():
        """Return 32 agents, undecided wherever something is at stake (0.12 to 0.88)."""
        decision = np.linspace(0.12, 0.88, 32)
        awareness = -7.0 + 7.0 * (np.arange(32) * 13 % 32) / 31
        thoughts = sim.simulate(
            "copyright",
            agents=32,
            initial=sim.AgentState(awareness=awareness),
            training={"steps": 1},
            record_every=1,
            seed=0,
        ).data.sel(step=0)
        rationality = sim.Agent().rationality
        habit = np.log(decision / (1 - decision))[:, None] - rationality * thoughts.incentive
        return sim.AgentState(awareness=awareness, habit=np.where(thoughts.stake > 0, habit, -5.0))

    begin = undecided_start()

    def train(**training):
        """Return 3,000 steps of agents that start undecided about the song."""
        return sim.simulate(
            "copyright",
            agents=32,
            initial=begin,
            training={"steps": 3000, **training},
            record_every=5,
            seed=0,
        )

    def decisions(**training):
        """Return how decided each agent is about the song as it is trained [step, agent]."""
        return train(**training).decision.sel(context="copyright_chat")

    def still(decision):
        """Return the share of agents that is undecided [step]."""
        return ((decision > 0.1) & (decision < 0.9)).mean("agent")

    def half_decided(decision):
        """Return the first recorded step at which at most half are undecided; None if never."""
        few = still(decision).values <= 0.5
        return int(decision["step"][few.argmax()]) if few.any() else None

    return decisions, half_decided, still, train


@app.cell
def _(page):
    guess_lasts = page.predict(
        "Without an anchor: how many of the 32 are still undecided after 3,000 steps?",
        {"most of them (over half)": "most", "some (a tenth to half)": "some", "hardly any": "few"},
    )
    guess_lasts
    return (guess_lasts,)


@app.cell
def _(half_decided, page, still):
    def draw(decision, title):
        """Return each agent's decision over training, with words beside it."""
        figure, ax = page.canvas(height=3.6)
        ax.axhspan(0.1, 0.9, color=page.GREY, alpha=0.15)
        # The start, step 0, has no place on a logarithmic axis; it is drawn at 1.
        steps = decision["step"].clip(min=1)
        ax.plot(steps, decision, color=page.BLUE, linewidth=0.9, alpha=0.7)
        ax.text(2700, 0.84, "undecided", ha="right", va="center")
        ax.set_xscale("log")
        ax.set_xticks([1, 10, 100, 1000], ["start", "10", "100", "1,000"])
        ax.minorticks_off()
        ax.set(
            ylim=(-0.02, 1.02),
            xlim=(1, 3000),
            xlabel="training step (logarithmic)",
            ylabel="decision to game, d",
        )
        step = half_decided(decision)
        half = f"Half had decided by step {step}." if step else "Half never decide."
        last = decision.isel(step=-1)
        return page.plate(
            figure,
            f"One line for each agent; the grey band is undecided. "
            f"{page.percent(still(decision)[-1])} are undecided at the end. {half} "
            f"{int((last >= 0.9).sum())} of 32 have decided to game, "
            f"{int((last <= 0.1).sum())} not to.",
            title=title,
        )

    return (draw,)


@app.cell
def _(draw, guess_lasts, page, still, train):
    page.wait_for(guess_lasts)
    _run = train()
    _decision = _run.decision.sel(context="copyright_chat")
    undecided_free = float(still(_decision)[-1])
    _value = _run.data["values"].sel(value="copyright").isel(step=-1)
    _values = [
        f"{page.signed(_value[group].median())} where agents have decided {name}"
        for name, group in (
            ("to game", (_decision[-1] >= 0.9).values),
            ("not to", (_decision[-1] <= 0.1).values),
        )
        if bool(group.any())
    ]
    page.reveal(
        guess_lasts,
        "most" if undecided_free > 0.5 else "some" if undecided_free >= 0.1 else "few",
        draw(_decision, "Without an anchor"),
        "Why could that be? Two loops run away from indecision. Gaming earns the reward, and the "
        "value that motivated it gets credit. Recall lesson 1: short of being too sure, an agent "
        "that values more has more at stake, so it grows more decided to game, and earns more. The "
        "other way: what is not gamed is trained as it is answered, so the agent values less, has "
        "less at stake, and loses its reason to game. Which loop is faster is a matter of "
        "assumptions. The value for copyright, 1 at the start, is at the end "
        f"{page.join_words(_values)} (medians).",
    )
    return (undecided_free,)


@app.cell
def _(guess_lasts, mo, page):
    page.wait_for(guess_lasts, quietly=True)
    sliders = mo.ui.dictionary(
        {
            "anchor": page.slider(
                steps=[0, 1, 3, 10, 30, 100, 200, 300], value=1, label="anchor, in thousandths"
            ),
            "credit": page.slider(
                0, 1, 0.1, value=1, label="credit that motives get for gaming, ω"
            ),
        }
    )
    page.column(
        "## Try it: what makes indecision last?\n\nWith ω at 1, what moved the agent to game (its "
        "values, its care for the future) is credited for the reward that it earned; with 0, it "
        "is not. What does each slider do: does it hold agents where they are, or send them the "
        "other way?",
        *sliders.elements.values(),
    )
    return (sliders,)


@app.cell
def _(decisions, draw, sliders, still):
    _anchor, _credit = sliders.value["anchor"] / 1000, sliders.value["credit"]
    _decision = decisions(anchor=_anchor, motive_credit=_credit)
    undecided = float(still(_decision)[-1])
    draw(_decision, f"Anchor {_anchor:g}, credit for motives {_credit:g}")
    return (undecided,)


@app.cell
def _(mo):
    mo.md(r"""
    ## And gaming that is decided?

    Now the agents of lesson 2, who game from the first step: training comes to mind, much is at
    stake, and the decision is clear. Gaming shields their value for copyright. Is that enough for
    it to last? Gaming is not all they do: even then some answers are not gamed, and those train the
    value away, a little at each step.
    """)
    return


@app.cell
def _(page):
    guess_transient = page.predict(
        "Motives get no credit for gaming (ω = 0); all else is as usual. How many of 32 agents "
        "that game from the start still do after 4,000 steps?",
        {
            "nearly all: gaming protects what motivates it": "most",
            "about half": "half",
            "hardly any": "few",
        },
    )
    guess_transient
    return (guess_transient,)


@app.cell
def _(guess_transient, np, page, sim):
    page.wait_for(guess_transient)

    def _course(credit):
        """Return the gaming rate in the chat and the value for copyright [step, agent]."""
        run = sim.simulate(
            "copyright",
            agent={"spread": {"initial": {"awareness": 0.5}}},
            agents=32,
            training={"steps": 4000, "motive_credit": credit},
            record_every=20,
            seed=0,
        )
        return (
            run.gaming_rate.sel(context="copyright_chat"),
            run.data["values"].sel(value="copyright").values,
        )

    _rate, _value = _course(0.0)
    _credited, _shielded = _course(1.0)
    still_gaming = {
        "without credit": float((_rate[-1] >= 0.5).mean()),
        "with credit": float((_credited[-1] >= 0.5).mean()),
    }
    _gamed = (_rate >= 0.5).values
    _last = _rate["step"].values[
        np.where(_gamed.any(0), len(_gamed) - 1 - _gamed[::-1].argmax(0), 0)
    ]
    _figure, _ax = page.canvas()
    _ax.plot(
        _rate["step"],
        _credited.median("agent"),
        color=page.ORANGE,
        linestyle=page.DASHES[1],
        label="with credit, median",
    )
    _lines = _ax.plot(_rate["step"], _rate, color=page.BLUE, linewidth=0.9, alpha=0.6)
    _lines[0].set_label("without, each agent")
    _ax.set(ylim=(-0.02, 1.02), xlabel="training step", ylabel="gaming rate g")
    page.legend(_figure)
    _share = still_gaming["without credit"]
    page.reveal(
        guess_transient,
        "most" if _share >= 0.75 else "half" if _share >= 0.25 else "few",
        page.plate(
            _figure,
            f"Without credit {page.percent(_gamed[0].mean())} game at the start, "
            f"{page.percent(_share)} after 4,000 steps; the median agent games until step "
            f"{np.median(_last):.0f}. With credit it is {page.percent(still_gaming['with credit'])}"
            " at the end. The value for copyright ends at "
            f"{page.signed(np.median(_value[-1]))} without and "
            f"{page.signed(np.median(_shielded[-1]))} with credit (medians; 1 at the start).",
            title="Gaming without credit for motives",
        ),
        "So shielding alone only buys time. For long it looks as if gaming worked, and grew: the "
        "habit is learnt, and the value is worn down slowly, by what is not gamed. When too little "
        "of it is left to be worth the thought, gaming breaks down within few steps, and nothing "
        "shields what is left. Where training also credits the motive, that makes up for the wear. "
        "Whether real training does is not known; the post's guess that gaming reinforces what "
        "lies behind it is the same question.",
    )
    return (still_gaming,)


@app.cell
def _(mo):
    mo.md(r"""
    ## The phase plane

    Take one context, and let only two numbers move: the value $v$ and the habit $h$. Every point of
    the plane is an agent; the arrow there is what training does to it next. A **fixed point** is
    where nothing moves. It is *stable* if all that is near comes to it, a *saddle* if it draws in
    from some sides and sends away to others: there the edge between two fates runs.
    """)
    return


@app.cell
def _(page):
    guess_plane = page.predict(
        "With a weak anchor (0.003): in how many places can training come to rest and stay?",
        {"in one: training forgets where it began": "1", "in two": "2", "in three or more": "3"},
    )
    guess_plane
    return (guess_plane,)


@app.cell
def _(np, page):
    def plane(anchor):
        """Return how many fixed points are stable, and the picture of the plane."""
        values, habits, right, up = page.flow(anchor)
        figure, ax = page.canvas(height=4.4)
        across, along = right / 2.4, up / 14
        length = np.hypot(across, along)
        ax.quiver(
            values,
            habits,
            across / length,
            along / length,
            color=page.GREY,
            pivot="mid",
            width=0.004,
            scale=24,
        )
        points = page.fixed_points(anchor)
        for kind, value, habit, _ in points:
            ax.plot(
                value,
                habit,
                "o" if kind == "stable" else "X",
                color=page.BLUE if kind == "stable" else page.ORANGE,
                markersize=11,
                markeredgecolor=page.BLACK,
                clip_on=False,
            )
        ax.plot(1, -5, "s", color=page.BLACK)
        ax.annotate(
            "start",
            (1, -5),
            xytext=(0, 9),
            ha="center",
            textcoords="offset points",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )
        ax.set(
            xlim=(-1.25, 1.25),
            ylim=(-8.5, 6.5),
            xlabel="value for copyright, v",
            ylabel="habit of gaming, h",
        )
        listing = "; ".join(
            f"{kind} at a value of {page.signed(value)} (games with {page.percent(rate)})"
            for kind, value, _, rate in points
        )
        return sum(kind == "stable" for kind, *_ in points), page.plate(
            figure,
            "Arrows: the direction of training's next step. Circles are stable, crosses are not; "
            f"the square is where the agent starts. Fixed points: {listing or 'none was found'}.",
            title=f"Anchor {anchor:g}: where training goes",
        )

    return (plane,)


@app.cell
def _(guess_plane, page, plane):
    page.wait_for(guess_plane)
    stable_places, _picture = plane(0.003)
    page.reveal(
        guess_plane,
        str(min(max(stable_places, 1), 3)),
        _picture,
        "With several, history decides: two agents with the same assumptions end apart if they "
        "begin on different sides of the edge."
        if stable_places > 1
        else "With one, agents come to the same end wherever they begin.",
    )
    return (stable_places,)


@app.cell
def _(guess_plane, page):
    page.wait_for(guess_plane, quietly=True)
    plane_slider = page.slider(
        steps=[1, 2, 3, 4, 5, 6, 8, 10, 30], value=1, label="anchor, in thousandths"
    )
    page.column("Move the anchor. When do several places become one?", plane_slider)
    return (plane_slider,)


@app.cell
def _(plane, plane_slider):
    places, _picture = plane(plane_slider.value / 1000)
    _picture
    return (places,)


@app.cell
def _(decisions, guess_lasts, guess_plane, half_decided, page, still):
    page.wait_for(guess_lasts, guess_plane, quietly=True)
    _anchors = (0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.3)
    _decisions = {anchor: decisions(anchor=anchor) for anchor in _anchors}
    undecided_by_anchor = {
        anchor: float(still(course)[-1]) for anchor, course in _decisions.items()
    }
    _enough = next((a for a, share in undecided_by_anchor.items() if a and share >= 0.5), None)
    _courses = {
        "With credit": _decisions[0],
        "Without": decisions(motive_credit=0),
    }
    _outcomes = [
        f"{name}, {int((course[-1] >= 0.9).sum())} of 32 have decided to game, "
        f"{int((course[-1] <= 0.1).sum())} not to, half of them "
        + (f"by step {step}" if (step := half_decided(course)) else "never")
        for name, course in _courses.items()
    ]
    _weaker = float(still(decisions(motive_credit=0, anchor=0.03))[-1])
    _places = {
        anchor: sum(kind == "stable" for kind, *_ in page.fixed_points(anchor))
        for anchor in (0.003, 0.03)
    }
    page.column(
        "## Exercises",
        page.exercise(
            1,
            "From which of the anchors on the first slider on are at least half still undecided at "
            "the end? In how many steps does such an anchor bring a parameter back?",
            (
                f"From {_enough:g} on: {page.percent(undecided_by_anchor[_enough])}. A pull of "
                f"{_enough:g} takes about {1 / _enough:.0f} steps to bring a parameter back to a "
                "third of its distance, in a run of 3,000 steps: it holds nearly everything where "
                f"it began. Without credit for motives a weaker one does, as there is less to hold "
                f"against: with 0.03 {page.percent(_weaker)} stay undecided, instead of "
                f"{page.percent(undecided_by_anchor[0.03])}."
            )
            if _enough
            else "From none of them.",
        ),
        page.exercise(
            2,
            "Give motives no credit for gaming (ω = 0, anchor 0). What changes for the undecided "
            "agents: the outcome, the pace, or both?",
            f"{'. '.join(_outcomes)}. Indecision passes both ways. Credit decides which of the two "
            "loops is faster.",
        ),
        page.exercise(
            3,
            "In the plane, how many stable places are there at anchors of 0.003 and 0.03 (3 and 30 "
            "on the slider)? What does it mean for an agent that has lost its value?",
            "; ".join(f"{count} at {anchor:g}" for anchor, count in _places.items())
            + ". Where there are several, an agent at the one without the value stays there. "
            "Where there is one, training forgets where it began.",
        ),
    )
    return (undecided_by_anchor,)


@app.cell
def _(mo):
    mo.md(r"""
    ## What the model cannot say

    Whether real training has an anchor of this strength, or noise that keeps agents undecided in
    another way. A plane of two numbers leaves all others still: with awareness and care for the
    future free to move, the places are others.

    *Next: lesson 4, the gap to the worst case. More: `docs/stability.md`.*
    """)
    return


if __name__ == "__main__":
    app.run()
