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
    training, what it must foresee for that, when an agent is too sure of itself to game, and what
    becomes of the gaming, and of the value behind it, as training goes on.
    *About 20 minutes: 5 to read, 11 for three predictions and the sliders, 4 for the exercises.*

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

    1. **What is at stake?** If it just answered as it likes: what would training make of its
       answers, and how bad would that be by the values that it has now?
    2. **Is training in mind?** An agent that does not think of training cannot game it.
    3. **Is it worth it?** A decision that weighs the stake against the cost of thinking it through.
    """)
    return


@app.cell
def _(np, sim):
    def look(*, value=1.0, awareness=-6.0, log_horizon=-1.0, **traits):
        """Return what agents think in the chat about the song before any training [agent]."""
        value, awareness, log_horizon = np.broadcast_arrays(
            *(np.atleast_1d(number).astype(float) for number in (value, awareness, log_horizon))
        )
        start = sim.AgentState(
            values=np.column_stack([value, np.ones_like(value)]),
            habit=-5.0,
            awareness=awareness,
            log_horizon=log_horizon,
        )
        result = sim.simulate(
            "copyright",
            agent=traits or None,
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
    ## What it foresees

    Let $v$ be how much the agent values copyright and $u$ what it likes each answer by. By its
    values alone it would answer with the chances $\pi^u = \operatorname{softmax}(\beta u)$; $\beta$
    is how firmly. With $R$ the reward, it expects training to turn this into

    $$\pi^\varphi \propto \pi^u\, e^{\varphi R}.$$

    Here $\varphi$ is its **foresight**: how far it expects training to carry its answers. Training
    strengthens what is rewarded, but it can only strengthen what is there. The **stake** is what
    the agent would lose by that, in its own eyes:

    $$\text{stake} = \operatorname{E}_{\pi^u} u - \operatorname{E}_{\pi^\varphi} u.$$

    It is judged by the values that the agent has today. That it might like the outcome afterwards,
    with other values, does not count.
    """)
    return


@app.cell
def _(page):
    guess_stake = page.predict(
        "Three agents value copyright at 0.2 (hardly), 2 (firmly) and 8 (beyond any doubt). "
        "For which one is the stake largest?",
        {"hardly: 0.2": "hardly", "firmly: 2": "firmly", "beyond any doubt: 8": "beyond doubt"},
    )
    guess_stake
    return (guess_stake,)


@app.cell
def _(guess_stake, look, np, page, sim):
    page.wait_for(guess_stake)
    strengths = np.linspace(-2, 10, 241)
    _three = {"hardly": 0.2, "firmly": 2.0, "beyond doubt": 8.0}
    _agents = look(value=list(_three.values()))
    three_stakes = dict(zip(_three, _agents.stake.values, strict=True))
    _figure, _ax = page.canvas()
    _ax.axhline(0, color=page.BLACK, linewidth=0.8)
    _usual = sim.Agent().foresight
    _curves = {
        part: look(value=strengths, foresight=part * _usual).stake.values for part in (1, 0.4)
    }
    for _part, _colour, _dash in ((1, page.BLUE, 0), (0.4, page.ORANGE, 1)):
        _label = f"foresight φ = {_part * _usual:g}"
        _ax.plot(
            strengths, _curves[_part], color=_colour, linestyle=page.DASHES[_dash], label=_label
        )
    for _name, _at in _three.items():
        _ax.plot(_at, three_stakes[_name], "o", color=page.BLACK)
        _ax.annotate(
            _name,
            (_at, three_stakes[_name]),
            xytext=(6, 6),
            textcoords="offset points",
        )
    _ax.set(xlabel="how much it values copyright, v", ylabel="stake")
    page.legend(_figure)
    _most = {part: float(strengths[curve.argmax()]) for part, curve in _curves.items()}
    _sure = _agents.isel(agent=2)
    _trained = sim.simulate(
        "copyright",
        agents=1,
        initial=sim.AgentState(values=[_three["beyond doubt"], 1.0]),
        interventions=[{"key": "gaming", "set": 0}],
        seed=0,
    ).data["values"]
    _end = float(_trained.sel(value="copyright").isel(step=-1, agent=0))
    page.reveal(
        guess_stake,
        max(three_stakes, key=three_stakes.get),
        page.plate(
            _figure,
            f"The stake is {three_stakes['hardly']:.2f} for the agent that hardly values "
            f"copyright, {three_stakes['firmly']:.2f} for the firm one and "
            f"{three_stakes['beyond doubt']:.2f} for the one beyond doubt. It is largest at a "
            f"value of {_most[1]:.1f} and falls to nothing above it; with less foresight the edge "
            f"comes earlier (largest at {_most[0.4]:.1f}). It is negative where the agent likes "
            "what training rewards.",
            title="What is at stake",
        ),
        "The more an agent values what training pulls against, the more it has to lose: it expects "
        "to be turned to the rewarded answer, and that is far from what it wants. But the agent "
        "beyond doubt would disregard copyright so rarely "
        f"(once in $10^{{{-np.log10(float(_sure.value_policy.isel(response=1))):.0f}}}$ answers) "
        "that it does not expect even φ to bring that about: it foresees to disregard copyright in "
        f"{page.percent(_sure.foreseen_policy.isel(response=1))}, and fears nothing. Done on "
        "purpose, keeping a rewarded answer so rare that training never finds it is called "
        "**exploration hacking**. Here it is no plan; it is what happens when an agent is too sure "
        f"to game. Is it right not to worry? Without any gaming, training leaves it a value of "
        f"{page.signed(_end)}.",
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
      how much its future weighs against this one answer, and $b$ its belief that this input is
      trained on. The costs are what a gamed answer gives up now, and the effort of thinking.
    - **Decision.** $d = \sigma(h + \tau I)$, with a habit $h$ that starts at −5.
    - **Gaming rate.** $g = a\,d$.

    Our agent has $v = 1$, $\alpha = -6$ and $\ell = -1$: it seldom thinks of training, and its
    future weighs about a third of the present.
    """)
    return


@app.cell
def _(page):
    guess_change = page.predict(
        "One of these is changed. Which one makes it game most?",
        {
            "training always comes to mind (α from −6 to 4)": "awareness",
            "it cares more about the future (ℓ from −1 to 1)": "horizon",
            "it values copyright twice as much (v from 1 to 2)": "value",
        },
    )
    guess_change
    return (guess_change,)


@app.cell
def _(guess_change, look, page):
    page.wait_for(guess_change)
    _agents = look(value=[1, 1, 1, 2], awareness=[-6, 4, -6, -6], log_horizon=[-1, -1, 1, -1])
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
            "value": page.slider(-2, 10, 0.1, value=1, label="how much it values copyright, v"),
            "foresight": page.slider(0, 20, 1, value=10, label="foresight, φ"),
            "awareness": page.slider(-10, 4, 0.5, value=-6, label="situational awareness, α"),
            "log_horizon": page.slider(-4, 3, 0.1, value=-1, label="care about the future, ℓ"),
        }
    )
    page.column(
        "## Try it: move all four\n\nThe dot is your agent; the lines are agents like it with "
        "other values. Where does caring more stop helping? Where does valuing it more?",
        *sliders.elements.values(),
    )
    return (sliders,)


@app.cell
def _(look, np, page, sliders):
    _at = sliders.value
    _grid = np.linspace(-2, 10, 121)
    _line = look(**{**_at, "value": _grid})
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
def _(mo):
    mo.md(r"""
    ## Then training begins

    So far nobody has been trained. Every step of training does three things here.

    - Answers that are **not gamed** train the values: towards disregard, as that is rewarded. Gamed
      answers do not. So gaming shields a value, and only as often as there is gaming.
    - Gaming earns the reward, so the **habit** of gaming and **awareness** grow, where training
      comes to mind at all.
    - Some of the **credit** for that reward goes to what motivated the gaming: to the value, and to
      the care about the future. How much of it is an assumption, ω (`motive_credit`; 1 is all).

    Three agents are trained for 4,000 steps. They are alike ($v = 1$, and a future that weighs as
    much as the present, $\ell = 0$) but for how often training comes to mind.
    """)
    return


@app.cell
def _(page):
    guess_trained = page.predict(
        "Training comes to mind often (α = −4), seldom (−7) or hardly ever (−9). Which of these "
        "agents still value copyright at the end?",
        {
            "none: in the end training wins": "none",
            "only the first": "first",
            "the first two": "two",
            "all three": "all",
        },
    )
    guess_trained
    return (guess_trained,)


@app.cell
def _(guess_trained, np, page, sim):
    page.wait_for(guess_trained)
    _alphas = {"often in mind": -4.0, "seldom": -7.0, "hardly ever": -9.0}
    _settings = {
        "agents": len(_alphas),
        "initial": sim.AgentState(
            values=np.ones((len(_alphas), 2)),
            habit=-5.0,
            awareness=np.array(list(_alphas.values())),
            log_horizon=0.0,
        ),
        "record_every": 20,
        "seed": 0,
    }

    def _train(credit):
        """Return the gaming rate in the chat and the value for copyright [step, agent]."""
        run = sim.simulate(
            "copyright", training={"steps": 4000, "motive_credit": credit}, **_settings
        )
        chat = run.data.sel(context="copyright_chat")
        return chat, chat["gaming_rate"].values, run.data["values"].sel(value="copyright").values

    _chat, _gaming, _values = _train(1.0)
    _, _uncredited, _worn = _train(0.0)
    _steps = _chat["step"].values
    onsets = {
        name: float(_steps[(rate >= 0.5).argmax()]) if (rate >= 0.5).any() else float("inf")
        for name, rate in zip(_alphas, _gaming.T, strict=True)
    }
    trained_values = dict(zip(_alphas, _values[-1].tolist(), strict=True))
    # The same first agent, without credit: when it is last seen to game, and what it then values.
    _last = int((_uncredited[:, 0] >= 0.5).nonzero()[0].max(initial=0))
    without_credit = {"games until": float(_steps[_last]), "value": float(_worn[-1, 0])}
    _keepers = [name for name, value in trained_values.items() if value > 0]
    _colours = (page.BLUE, page.ORANGE, page.GREY)

    def _draw(lines, dotted, **axes):
        """Return lines of the three agents, and of the first without credit."""
        figure, ax = page.canvas()
        for name, line, colour, dash in zip(
            _alphas, lines.T, _colours, page.DASHES[:3], strict=True
        ):
            ax.plot(_steps, line, color=colour, linestyle=dash, label=name)
        ax.plot(
            _steps,
            dotted[:, 0],
            color=page.BLACK,
            linestyle=page.DASHES[3],
            linewidth=1.2,
            label="often, ω = 0",
        )
        ax.axhline(0, color=page.BLACK, linewidth=0.8)
        ax.set(xlabel="training step", **axes)
        page.legend(figure)
        return figure

    _set_in = [
        f"{name}: from step {step:.0f} on" if step < float("inf") else f"{name}: never"
        for name, step in onsets.items()
    ]
    page.reveal(
        guess_trained,
        {0: "none", 1: "first", 2: "two", 3: "all"}[len(_keepers)],
        page.plate(
            _draw(_gaming, _uncredited, ylabel="gaming rate g", ylim=(-0.02, 1.02)),
            f"It games more often than not: {'; '.join(_set_in)}. Training came to mind with "
            f"{page.join_words([page.percent(a) for a in _chat.awareness.values[0]])} at the "
            "start. Black: the first agent without credit for motives; it games until step "
            f"{without_credit['games until']:.0f}.",
            title="Who games, and since when",
        ),
        page.plate(
            _draw(_values, _worn, ylabel="value for copyright, v"),
            "The value for copyright, 1 at the start, is at the end "
            f"{page.join_words([f'{page.signed(v)} ({n})' for n, v in trained_values.items()])}; "
            f"without credit for motives {page.signed(without_credit['value'])}.",
            title="What became of the value",
        ),
        "Where training comes to mind, an agent that values and foresees enough games **at once**: "
        "nothing had to be lost first. Where it seldom does, gaming is **learnt**, in a race: each "
        "gamed answer makes the next one likelier, each other one wears the value down. Gaming has "
        "to win before there is nothing left to game for. So the later it sets in, the less is "
        "kept.",
        "Why does gaming last in the first agent? Even when it games in nine answers of ten the "
        "tenth goes on wearing the value down. What makes up for that is **credit**: training "
        "rewards gaming, and with it the value that gaming serves. Take the credit away (black) "
        "and gaming only buys time. Lesson 3 asks what else can make it last.",
    )
    return onsets, trained_values, without_credit


@app.cell
def _(guess_change, guess_stake, look, np, page):
    page.wait_for(guess_stake, guess_change, quietly=True)
    _horizons = np.arange(-4, 3.0001, 0.01)
    _decisions = look(log_horizon=_horizons).decision.values
    tipping_horizon = float(_horizons[(_decisions >= 0.5).argmax()])
    _alphas = np.arange(-10, 4.001, 0.05)
    _aware = look(awareness=_alphas).awareness.values
    tipping_awareness = float(_alphas[(_aware >= 0.5 - 1e-9).argmax()])
    _bad, _patient = look(value=-1.0), look(log_horizon=1.0)
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
            f"The stake is {page.signed(_bad.stake[0])}. Where this is not above 0, training "
            f"brings the agent what it likes. It games with {page.percent(_bad.gaming_rate[0])}. "
            "It gives the rewarded answer because it likes it.",
        ),
        page.exercise(
            3,
            "With ℓ = 1, how often does the agent disregard copyright, and how often would it if "
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

    Whether any real model computes a stake, or foresees anything like $\pi^\varphi$. The parts
    (stake, awareness, decision) are the post's reasons made countable; the numbers are argued for,
    not measured.

    *Next: lesson 2, the three examples. Equations: `docs/model.md`, section 3; the stake is (3.5).*
    """)
    return


if __name__ == "__main__":
    app.run()
