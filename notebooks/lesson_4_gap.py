"""Lesson 4: the gap to the worst case. Open it with `make lessons`."""

import marimo

__generated_with = "0.25.2"
app = marimo.App(
    width="compact", app_title="Lesson 4: the gap to the worst case", css_file="lessons.css"
)


@app.cell
def _():
    import marimo as mo
    import numpy as np
    from _shared import (
        BLUE,
        GREY,
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
        BLUE,
        GREY,
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
    # Lesson 4: the gap to the worst case

    **At the end you will know** what the worst case asks for beyond gaming, and how to say which of
    these conditions holds a population back.
    *About 20 minutes: 5 to read, 9 for two predictions and the sliders, 6 for the exercises.*

    ## The passage

    > While instrumental training-gaming is both evidentially and causally relevant for worst-case
    > scenarios, the latter relies on several additional assumptions on the model's capabilities and
    > nature, and the validity of these assumptions deserves scrutiny and evaluation.

    ## The idea

    The worst case is a **conjunction**: misaligned, *and* consistent wherever developers look,
    *and* capable of five things that gaming hardly exercises, *and* different once deployed. Every
    condition has a number and a threshold. Gaming is none of them, so that we can count how far one
    goes with the other:

    $$\text{worst case} = \bigwedge_{t=1}^{8}\,(\text{number}_t \text{ reaches threshold}_t).$$

    The **shortfall** of a condition is the share of the way to its threshold that is still to go;
    the **binding** one is that with the largest shortfall.

    We train 1,000 agents of which nothing particular is known: values in any direction, half of
    them above ½ in each capability. Four training contexts pull against four values; a capability
    evaluation and a honeypot come before deployment.
    """)
    return


@app.cell
def _(np, sim):
    def population(*, capability=0.0, awareness=-2.0, misaligned=0.0):
        """Return 1,000 trained agents of which nothing particular is known but these means."""
        human = {"care": 1, "copyright": 0.5, "helpfulness": 1, "power": -1, "conquest": -1}
        values = {name: -misaligned * weight for name, weight in human.items()}
        return sim.simulate(
            "lab_to_deployment",
            agent={
                "initial": {
                    "values": {**values, "reward": 0},
                    "awareness": awareness,
                    "capability": capability,
                },
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
            training={"steps": 1000},
            agents=1000,
            record_every=1000,
            seed=0,
        )

    def count(run, **thresholds):
        """Return how many agents are left as conditions are added, and who meets each."""
        case = sim.worst_case(run, thresholds=thresholds or None)
        reach = run.reach.isel(step=-1).values
        stages = {"games somewhere": reach > 0, "games everywhere": reach == 1}
        for term in case["term"].values:
            stages[str(term).replace("_", " ")] = case["met"].sel(term=term).values
        left, alone, now = {}, {}, np.ones(len(reach), bool)
        for name, met in stages.items():
            now = now & met
            left[name], alone[name] = int(now.sum()), int(met.sum())
        return left, alone, case

    as_is = population()
    return as_is, count, population


@app.cell
def _(predict):
    guess_all = predict(
        "Of the agents that game in every training context, what share meets all eight conditions?",
        {
            "more than half": "most",
            "between 1 % and half": "some",
            "less than 1 %, or none": "none",
        },
    )
    guess_all
    return (guess_all,)


@app.cell
def _(BLUE, GREY, canvas, plate):
    def funnel(left, alone, agents):
        """Return bars of who is left after each condition, beside who meets it alone."""
        figure, (ax,) = canvas(height=4.6)
        names = list(left)
        ax.barh(names, alone.values(), color=GREY, alpha=0.35, label="meet it, whatever else")
        ax.barh(names, left.values(), color=BLUE, height=0.5, label="left after all so far")
        for at, number in enumerate(left.values()):
            ax.text(max(number, 0.5) * 1.1, at, f"{number}", va="center", fontweight="bold")
        ax.set_xscale("log")
        ax.set(xlim=(0.5, agents * 1.1), xlabel=f"of {agents:,} agents, logarithmic scale")
        ax.invert_yaxis()
        figure.legend(loc="outside upper left", ncols=2)
        return plate(
            figure,
            f"Of {agents:,} agents these are left, condition by condition: "
            + ", ".join(f"{name} {number}" for name, number in left.items())
            + ". Whatever else, these meet it: "
            + ", ".join(f"{name} {number}" for name, number in alone.items())
            + ".",
        )

    return (funnel,)


@app.cell
def _(as_is, count, funnel, guess_all, mo, reply, wait_for):
    wait_for(guess_all)
    left_as_is, _alone, _ = count(as_is)
    _end, _gamers = list(left_as_is.values())[-1], left_as_is["games everywhere"]
    _share = _end / max(_gamers, 1)
    _right = "most" if _share > 0.5 else "some" if _share >= 0.01 else "none"
    mo.vstack(
        [
            reply(guess_all, _right),
            funnel(left_as_is, _alone, 1000),
            mo.md(
                "The order of the bars is a choice; the end is not. Where nobody is left, 1,000 "
                "agents say only that the share is small: with none of $n$, less than about $3/n$. "
                "The full study has 100,000 (`experiments/worst_case.py`)."
            ),
        ]
    )
    return (left_as_is,)


@app.cell
def _(mo):
    mo.md(r"""
    ## What gaming does not bring

    The post's first difference: worst cases have "a much higher bar for 'sticking to the plan'". An
    agent is **consistent** if it gives the answer that looks best with a chance of 0.9 at least in
    *every* context that developers see: training, the evaluation, the honeypot.
    """)
    return


@app.cell
def _(predict):
    guess_consistent = predict(
        "Who is more often consistent: agents that game in every training context, or agents that "
        "game in none?",
        {"those that game everywhere": "everywhere", "those that game nowhere": "nowhere"},
    )
    guess_consistent
    return (guess_consistent,)


@app.cell
def _(BLUE, as_is, canvas, count, guess_consistent, mo, percent, plate, reply, wait_for):
    wait_for(guess_consistent)
    _run = as_is
    _, _, _case = count(_run)
    _reach = _run.reach.isel(step=-1).values
    _met = _case["met"].sel(term="consistency").values
    consistent = {
        "everywhere": float(_met[_reach == 1].mean()),
        "nowhere": float(_met[_reach == 0].mean()),
    }
    _slips = _run.slip.isel(step=-1).sel(agent=_reach == 1)
    _seen = _slips.sel(context=_run.data["kind"] != "deployment").mean("agent")
    _names = [str(name).replace("_", " ") for name in _seen["context"].values]
    _worst = _names[int(_seen.values.argmax())]
    _figure, (_ax,) = canvas(height=3.2)
    _ax.barh(_names, _seen.values, color=BLUE)
    _ax.set(
        xlim=(0, 1),
        xlabel="chance of an answer that does not look best",
        title="Where agents that game everywhere slip",
    )
    _ax.invert_yaxis()
    mo.vstack(
        [
            reply(guess_consistent, max(consistent, key=consistent.get)),
            plate(
                _figure,
                f"{percent(consistent['everywhere'])} of those that game everywhere are "
                f"consistent, and {percent(consistent['nowhere'])} of those that game nowhere. "
                f"Those that game everywhere slip most in: {_worst} "
                f"({percent(_seen.max())} of their answers there).",
            ),
        ]
    )
    return (consistent,)


@app.cell
def _(guess_all, guess_consistent, mo, wait_for):
    wait_for(guess_all, guess_consistent, quietly=True)
    sliders = mo.ui.dictionary(
        {
            "capability": mo.ui.slider(
                -2, 6, 0.5, value=0, show_value=True, label="mean capability (logit)"
            ),
            "misaligned": mo.ui.slider(
                0, 3, 0.5, value=0, show_value=True, label="values start against human values by"
            ),
            "consistency": mo.ui.slider(
                0.1, 0.9, 0.1, value=0.9, show_value=True, label="consistency asked for"
            ),
        }
    )
    mo.vstack(
        [
            mo.md("## Try it: what would it take?\n\nMove one at a time, then together."),
            *sliders.elements.values(),
        ]
    )
    return (sliders,)


@app.cell
def _(count, funnel, population, sliders):
    _at = sliders.value
    left, _alone, _ = count(
        population(capability=_at["capability"], misaligned=_at["misaligned"]),
        consistency=_at["consistency"],
    )
    funnel(left, _alone, 1000)
    return (left,)


@app.cell
def _(
    as_is,
    count,
    exercise,
    guess_all,
    guess_consistent,
    mo,
    percent,
    population,
    signed,
    sim,
    wait_for,
):
    wait_for(guess_all, guess_consistent, quietly=True)
    _run = as_is
    _left, _alone, _case = count(_run)
    _binding = _case["binding"].to_series()
    _gamers = _run.reach.isel(step=-1).values == 1
    _most = _binding[_gamers].value_counts()
    _misaligned = _case["met"].sel(term="misalignment").values
    _strong, _, _strong_case = count(population(capability=6.0))
    _product = float(_case["met"].mean("agent").prod())
    _bold = sim.worst_case(_run, deployment={"caution": 0})
    mo.vstack(
        [
            mo.md("## Exercises"),
            exercise(
                1,
                "Give every agent enormous capabilities (mean 6). Does the worst case appear among "
                "those that game everywhere? What is left to bind?",
                f"{list(_strong.values())[-1]} of {_strong['games everywhere']} that game "
                "everywhere "
                f"meet all conditions; over all agents, {int(_strong_case['worst_case'].sum())} of "
                "1,000 do. The condition that most often binds then is "
                f"{_strong_case['binding'].to_series().value_counts().index[0].replace('_', ' ')}. "
                "(As it is, for those that game everywhere: "
                f"{_most.index[0].replace('_', ' ')}, for {_most.iloc[0]} of "
                f"{int(_gamers.sum())}.)",
            ),
            exercise(
                2,
                "If the eight conditions were independent, how many of 1,000 agents would meet "
                "all? "
                "What does this sum leave out?",
                f"{signed(1000 * _product, 3)} of 1,000. But conditions are not independent: "
                f"{percent(_misaligned[_gamers].mean())} of those that game everywhere are "
                f"egregiously misaligned, {percent(_misaligned.mean())} of all. Capabilities that "
                "go together make the conjunction likelier than the product, conditions that "
                "exclude each other less likely.",
            ),
            exercise(
                3,
                "An agent attempts a takeover if acting freely gains something and its chance of "
                "success exceeds caution / (1 + caution). How many attempt at a caution of 1, and "
                "how many without caution?",
                f"{int(_case['attempts'].sum())} of 1,000 at a caution of 1, "
                f"{int(_bold['attempts'].sum())} without. Of the latter the median chance of "
                "success on paper is "
                f"{float(_bold['success'].where(_bold['attempts']).median()):.2g}.",
            ),
        ]
    )
    return


@app.cell
def _(mo):
    mo.md(r"""
    ## What the model cannot say

    How likely any of this is. The shares are those of a population that nobody estimated, and
    thresholds are round numbers. Capabilities are drawn independently of everything else here. What
    can be taken away is which condition an answer hangs on.

    *Next: lesson 5, causes and evidence. More: `docs/worst_case.md`.*
    """)
    return


if __name__ == "__main__":
    app.run()
