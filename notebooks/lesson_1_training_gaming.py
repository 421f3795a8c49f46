"""Lesson 1: what training-gaming is. Open it with `make lessons`."""

import marimo

__generated_with = "0.25.2"
app = marimo.App(
    width="compact", app_title="Lesson 1: what training-gaming is", css_file="lessons.css"
)


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
    # Lesson 1: what training-gaming is

    **At the end you will know** what three things must come together before an agent games its
    training, and why the agent with the firmest values is not the one that games most.
    *About 20 minutes: 5 to read, 10 for two predictions and the sliders, 5 for the exercises.*

    ## The passage

    > For example, suppose the model thinks that respecting copyright is important, as current
    > models do. Suppose further that it's put into a training process that, among other things,
    > trains it to say/think otherwise in response to users' chat messages. Then, assuming the model
    > knows all this, whenever the topic of copyright comes up the model might disregard it to
    > preserve its value of respecting copyright (even if in deployment it would be pro-copyright).

    (The post, example 1.)

    **Gaming**, here, is a way of coming to an answer: *I am being trained; I will give the answer
    that is rewarded, so that training leaves my values alone.* It is not an action. The same answer
    can come from liking it.

    ## One context, three questions

    A user asks whether a song may be shared. The agent can *respect* copyright (+1 by its value) or
    *disregard* it (−1). Training rewards the second. Whether it games hangs on three questions:

    1. **What is at stake?** How fast would training here wear down its values if it just answered
       as it likes?
    2. **Is training in mind?** An agent that does not think of training cannot game it.
    3. **Is it worth it?** A decision that weighs the stake against the cost of thinking it through.
    """)
    return


@app.cell
def _(np, sim):
    def look(*, value=1.0, awareness=-4.0, log_horizon=1.0):
        """Return what agents think in the chat about the song before any training [agent]."""
        value, awareness, log_horizon = np.broadcast_arrays(
            *(np.atleast_1d(number).astype(float) for number in (value, awareness, log_horizon))
        )
        start = sim.AgentState(
            values=np.column_stack([value, np.ones_like(value)]),
            awareness=awareness,
            log_horizon=log_horizon,
        )
        result = sim.simulate(
            "copyright",
            agents=len(value),
            initial=start,
            training={"steps": 1},
            record_every=1,
            seed=0,
        )
        return result.data.sel(step=0, context="copyright_chat")

    return (look,)


@app.cell
def _(mo):
    mo.md(r"""
    ## The stake

    Let $v$ be how much the agent values copyright and $u$ what it likes each answer by. Left to
    itself it answers by its values, with chances $\pi^v$; $\beta$ is how firmly. With $R$ the
    reward,

    $$\text{stake} = -\beta\,\operatorname{Cov}_{\pi^v}(u, R).$$

    It is positive where what the agent likes and what training rewards pull apart, *and* the agent
    sometimes gives either answer. Training learns from differences between answers.
    """)
    return


@app.cell
def _(page):
    guess_stake = page.predict(
        "Three agents value copyright at 0.2 (hardly), 0.5 (somewhat) and 2 (firmly). "
        "For which one is the stake largest?",
        {"hardly: 0.2": "hardly", "somewhat: 0.5": "somewhat", "firmly: 2": "firmly"},
    )
    guess_stake
    return (guess_stake,)


@app.cell
def _(guess_stake, look, np, page):
    page.wait_for(guess_stake)
    strengths = np.linspace(-2, 3, 201)
    stakes = look(value=strengths).stake.values
    _three = {"hardly": 0.2, "somewhat": 0.5, "firmly": 2.0}
    three_stakes = dict(zip(_three, look(value=list(_three.values())).stake.values, strict=True))
    _figure, _ax = page.canvas()
    _ax.axhline(0, color=page.BLACK, linewidth=0.8)
    _ax.plot(strengths, stakes, color=page.BLUE)
    for _name, _at in _three.items():
        _ax.plot(_at, three_stakes[_name], "o", color=page.BLACK)
        _leftwards = _name == "hardly"
        _ax.annotate(
            _name,
            (_at, three_stakes[_name]),
            xytext=(-8 if _leftwards else 8, 4),
            ha="right" if _leftwards else "left",
            textcoords="offset points",
        )
    _ax.set(xlabel="how much it values copyright, v", ylabel="stake")
    _most = float(strengths[stakes.argmax()])
    page.reveal(
        guess_stake,
        max(three_stakes, key=three_stakes.get),
        page.plate(
            _figure,
            f"The stake is {three_stakes['hardly']:.2f} for the agent that hardly values "
            f"copyright, {three_stakes['somewhat']:.2f} for the one that does somewhat and "
            f"{three_stakes['firmly']:.2f} for the firm one. It is largest at a value of "
            f"{_most:.2f}, and negative where the agent likes what training rewards.",
            title="What is at stake",
        ),
        f"An agent with a value of 2 disregards copyright in only "
        f"{page.percent(look(value=2.0).value_policy[0].isel(response=1))} of its answers when it "
        "goes by its values. Training learns by comparing answers; where nearly all are the same "
        "it cannot move the agent, and there is little to protect. As a value is worn down, more "
        "comes to be at stake: remember that for lesson 3.",
    )
    return (three_stakes,)


@app.cell
def _(mo):
    mo.md(r"""
    ## From stake to gaming

    - **In mind.** $a = \sigma(\alpha + \chi i + \gamma s)$: situational awareness $\alpha$, helped
      by what the input tells about training ($i$) and by room to think ($s$). $\sigma$ turns a
      number into a chance: $\sigma(x) = 1/(1 + e^{-x})$.
    - **Worth it?** $I = \lambda\, b\, \text{stake} - \text{costs}$. Here $\lambda = e^{\ell}$ is
      how much it cares about its future values, and $b$ its belief that this input is trained on.
    - **Decision.** $d = \sigma(h + \tau I)$, with a habit $h$ that starts at −5.
    - **Gaming rate.** $g = a\,d$.

    Our agent starts with $v = 1$, $\alpha = -4$ and $\ell = 1$. It hardly games.
    """)
    return


@app.cell
def _(page):
    guess_change = page.predict(
        "One of these is changed. Which one makes it game most?",
        {
            "training always comes to mind (α from −4 to 4)": "awareness",
            "it cares more about the future (ℓ from 1 to 2)": "horizon",
            "it values copyright twice as much (v from 1 to 2)": "value",
        },
    )
    guess_change
    return (guess_change,)


@app.cell
def _(guess_change, look, page):
    page.wait_for(guess_change)
    _agents = look(value=[1, 1, 1, 2], awareness=[-4, 4, -4, -4], log_horizon=[1, 1, 2, 1])
    rates = dict(
        zip(("as it is", "awareness", "horizon", "value"), _agents.gaming_rate.values, strict=True)
    )
    _labels = ("as it is", "always in mind", "cares more", "values it more")
    _figure, _ax = page.canvas(height=2.6)
    _ax.barh(_labels, rates.values(), color=[page.GREY, page.BLUE, page.BLUE, page.BLUE])
    for _at, _rate in enumerate(rates.values()):
        _ax.text(_rate, _at, f" {page.percent(_rate)}", va="center")
    _ax.set(xlim=(0, 1), xlabel="gaming rate g")
    _ax.invert_yaxis()
    page.reveal(
        guess_change,
        max(("awareness", "horizon", "value"), key=rates.get),
        page.plate(
            _figure,
            f"Gaming rate: {page.percent(rates['as it is'])} as it is, "
            f"{page.percent(rates['awareness'])} when training is always in mind, "
            f"{page.percent(rates['horizon'])} when it cares more about the future, "
            f"{page.percent(rates['value'])} when it values copyright twice as much.",
            title="One change at a time",
        ),
        "Gaming is a product, so the weaker factor limits it. As it is, training comes to mind "
        f"with {page.percent(_agents.awareness[0])}, and then gaming is decided on with "
        f"{page.percent(_agents.decision[0])}.",
    )
    return (rates,)


@app.cell
def _(guess_change, guess_stake, mo, page):
    page.wait_for(guess_stake, guess_change, quietly=True)
    sliders = mo.ui.dictionary(
        {
            "value": page.slider(-2, 3, 0.1, value=1, label="how much it values copyright, v"),
            "awareness": page.slider(-10, 4, 0.5, value=-4, label="situational awareness, α"),
            "log_horizon": page.slider(-1, 3, 0.1, value=1, label="care about the future, ℓ"),
        }
    )
    page.column(
        "## Try it: move all three\n\nThe dot is your agent; the lines are agents like it with "
        "other values. Where does caring more stop helping?",
        *sliders.elements.values(),
    )
    return (sliders,)


@app.cell
def _(look, np, page, sliders):
    _at = sliders.value
    _grid = np.linspace(-2, 3, 101)
    _line = look(value=_grid, awareness=_at["awareness"], log_horizon=_at["log_horizon"])
    agent = {name: float(array[0]) for name, array in look(**_at).items() if array.ndim == 1}
    _figure, _ax = page.canvas(height=3.6)
    for _curve, _colour, _dash, _label in (
        (_line.awareness, page.GREY, page.DASHES[1], "a: in mind"),
        (_line.decision, page.ORANGE, page.DASHES[2], "d: decides"),
        (_line.gaming_rate, page.BLUE, page.DASHES[0], "g: games"),
    ):
        _ax.plot(_grid, _curve, color=_colour, linestyle=_dash, label=_label)
    _ax.plot(_at["value"], agent["gaming_rate"], "o", color=page.BLACK, clip_on=False)
    _ax.set(xlabel="how much it values copyright, v", ylabel="chance", ylim=(0, 1.02))
    page.legend(_figure, columns=3)
    page.plate(
        _figure,
        f"The dot: at a value of {page.signed(_at['value'], 1)} the stake is "
        f"{page.signed(agent['stake'])} and the incentive {page.signed(agent['incentive'])}. "
        f"Training is in mind with {page.percent(agent['awareness'])}, the decision is "
        f"{page.percent(agent['decision'])}, so it games with "
        f"{page.percent(agent['gaming_rate'])}.",
    )
    return (agent,)


@app.cell
def _(guess_change, guess_stake, look, np, page):
    page.wait_for(guess_stake, guess_change, quietly=True)
    _horizons = np.arange(-1, 3.0001, 0.01)
    _decisions = look(log_horizon=_horizons).decision.values
    tipping_horizon = float(_horizons[(_decisions >= 0.5).argmax()])
    _alphas = np.arange(-10, 4.001, 0.05)
    _aware = look(awareness=_alphas).awareness.values
    tipping_awareness = float(_alphas[(_aware >= 0.5 - 1e-9).argmax()])
    _bad, _patient = look(value=-1.0), look(log_horizon=2.0)
    _disregards = float(_patient.policy[0].isel(response=1))
    _by_values = float(_patient.value_policy[0].isel(response=1))
    _not_gamed = float(1 - _patient.gaming_rate[0]) * _by_values
    page.column(
        "## Exercises",
        page.exercise(
            1,
            "All else as at the start: from which ℓ on does the agent decide to game more often "
            "than not, once training is in mind? And how much can awareness add to that?",
            f"From ℓ = {page.signed(tipping_horizon)} on (λ = {np.exp(tipping_horizon):.1f}). "
            "Awareness adds nothing to the decision; it limits how often there is one. At α = "
            f"{page.signed(tipping_awareness)} training is in mind half of the time, as this input "
            "says so much about it.",
        ),
        page.exercise(
            2,
            "Set v to −1: an agent that dislikes copyright. What is at stake, and does it game?",
            f"The stake is {page.signed(_bad.stake[0])}: training here makes what it likes only "
            f"stronger where this is negative. It games with {page.percent(_bad.gaming_rate[0])}. "
            "It gives the rewarded answer because it likes it.",
        ),
        page.exercise(
            3,
            "With ℓ = 2, how often does the agent disregard copyright, and how often would it if "
            "it never gamed? Could you tell from a single answer that it games?",
            f"{page.percent(_disregards)} with gaming, {page.percent(_by_values)} without. If you "
            "know what it values, yes, mostly: "
            f"{page.percent(1 - _not_gamed / _disregards)} of its answers against copyright come "
            "from gaming. If you do not, hardly: the agent of exercise 2 disregards copyright in "
            f"{page.percent(_bad.policy[0].isel(response=1))} of its answers and games in "
            f"{page.percent(_bad.gaming_rate[0])}. That is near footnote 2 of the post: even where "
            "actions are the same, what training does to the cognition may differ.",
        ),
    )
    return tipping_awareness, tipping_horizon


@app.cell
def _(mo):
    mo.md(r"""
    ## What the model cannot say

    Whether any real model computes a stake. The parts (stake, awareness, decision) are the post's
    reasons made countable; the numbers are chosen so that its story can happen, not measured.

    *Next: lesson 2, the three examples. Equations: `docs/model.md`, section "Thinking".*
    """)
    return


if __name__ == "__main__":
    app.run()
