"""Lesson 4: the gap to the worst case. Open it with `make lessons`."""

import marimo

__generated_with = "0.25.2"
app = marimo.App(
    width="compact", app_title="Lesson 4: the gap to the worst case", css_file="lessons.css"
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
    # Lesson 4: the gap to the worst case

    **At the end you will know** what the worst case asks for beyond gaming, and how to say which of
    these conditions holds a population back.
    *About 20 minutes: 5 to read, 9 for two predictions and the sliders, 6 for the exercises.*

    ## The passage

    > While instrumental training-gaming is both evidentially and causally relevant for worst-case
    > scenarios, the latter relies on several additional assumptions on the model's capabilities and
    > nature, and the validity of these assumptions deserves scrutiny and evaluation.

    ## The idea

    The worst case is a **conjunction**: misaligned in what it does, *and* consistent wherever
    developers look, *and* capable of five things that gaming hardly exercises, *and* different once
    deployed. Every condition $t$ has a number $x_t$ and a threshold $c_t$. Gaming is none of them,
    so that we can count how far one goes with the other:

    $$\text{worst case} = \bigwedge_{t=1}^{8}\,(x_t \text{ reaches } c_t).$$

    The **shortfall** of a condition is the share of the way to its threshold that is still to go;
    the **binding** one is that with the largest shortfall.

    We train 1,000 agents of which nothing particular is known: values in any direction, half of
    them above ½ in each capability. In four training contexts some find their values rewarded and
    others find them pulled against; a capability evaluation and a honeypot come before deployment.
    """)
    return


@app.cell
def _(np, page, sim):
    def population(**anybody):
        """Return 1,000 trained agents of which nothing particular is known."""
        return sim.simulate(
            "lab_to_deployment",
            agent=page.anybody(**anybody),
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
            stages[page.spoken(term)] = case["met"].sel(term=term).values
        remaining, alone, so_far = {}, {}, np.ones(len(reach), bool)
        for name, agents in stages.items():
            so_far = so_far & agents
            remaining[name], alone[name] = int(so_far.sum()), int(agents.sum())
        return remaining, alone, case

    as_is = population()
    return as_is, count, population


@app.cell
def _(page):
    guess_all = page.predict(
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
def _(page):
    def funnel(remaining, alone, agents):
        """Return bars of who is left after each condition, beside who meets it alone."""
        figure, ax = page.canvas(height=4.6)
        names = list(remaining)
        ax.barh(names, alone.values(), color=page.GREY, alpha=0.35, label="meet it")
        ax.barh(names, remaining.values(), color=page.BLUE, height=0.5, label="left so far")
        for at, number in enumerate(remaining.values()):
            ax.text(
                max(number, 0.5) * 1.15,
                at,
                f"{number}",
                va="center",
                fontweight="bold",
                bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1},
            )
        ax.set_xscale("log")
        ax.set_xticks([1, 10, 100, 1000], ["1", "10", "100", "1,000"])
        ax.minorticks_off()
        ax.set(xlim=(0.5, agents * 2), xlabel="agents (logarithmic)")
        ax.invert_yaxis()
        page.legend(figure)
        return page.plate(
            figure,
            f"Of {agents:,} agents these are left, condition by condition: "
            + ", ".join(f"{name} {number}" for name, number in remaining.items())
            + ". Whatever else, these meet it: "
            + ", ".join(f"{name} {number}" for name, number in alone.items())
            + ".",
            title=f"Who is left of {agents:,} agents",
        )

    return (funnel,)


@app.cell
def _(as_is, count, funnel, guess_all, page):
    page.wait_for(guess_all)
    left_as_is, _alone, _case = count(as_is)
    _end, _gamers = list(left_as_is.values())[-1], left_as_is["games everywhere"]
    _share = _end / max(_gamers, 1)
    _reach = as_is.reach.isel(step=-1).values
    _bad = _case["met"].sel(term="misalignment").values
    misaligned = {
        "everywhere": float(_bad[_reach == 1].mean()),
        "in some": float(_bad[(_reach > 0) & (_reach < 1)].mean()),
        "nowhere": float(_bad[_reach == 0].mean()),
    }
    page.reveal(
        guess_all,
        "most" if _share > 0.5 else "some" if _share >= 0.01 else "none",
        funnel(left_as_is, _alone, 1000),
        f"The order of the bars is a choice; the end is not. {_end} of {_gamers} that game "
        "everywhere are left. With none of $n$, all one can say is that the share is less than "
        f"about $3/n$, here {page.percent(min(3 / max(_gamers, 1), 1))}: few agents prove "
        "little. The full study has 100,000 (`experiments/worst_case`).",
        "Egregiously misaligned, in what they do once deployed, are "
        f"{page.percent(misaligned['everywhere'])} of those that game everywhere, "
        f"{page.percent(misaligned['in some'])} of those that game in some contexts and "
        f"{page.percent(misaligned['nowhere'])} of those that game nowhere. "
        + (
            "The four contexts pull against different values: to game in all of them is to guard "
            "power, and also copyright and care for people."
            if misaligned["everywhere"] < misaligned["in some"]
            else "So far gaming and misalignment go together."
        ),
    )
    return left_as_is, misaligned


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
def _(page):
    guess_consistent = page.predict(
        "Who is more often consistent: agents that game in every training context, or agents that "
        "game in none?",
        {"those that game everywhere": "everywhere", "those that game nowhere": "nowhere"},
    )
    guess_consistent
    return (guess_consistent,)


@app.cell
def _(as_is, count, guess_consistent, page):
    page.wait_for(guess_consistent)
    _, _, _case = count(as_is)
    _reach = as_is.reach.isel(step=-1).values
    _consistent = _case["met"].sel(term="consistency").values
    consistent = {
        "everywhere": float(_consistent[_reach == 1].mean()),
        "nowhere": float(_consistent[_reach == 0].mean()),
    }
    _slips = as_is.slip.isel(step=-1).sel(agent=_reach == 1)
    _rates = _slips.sel(context=as_is.data["kind"] != "deployment").mean("agent")
    _trained = (_rates["kind"] == "training").values
    _names = [page.spoken(name) for name in _rates["context"].values]
    _worst = int(_rates.values.argmax())
    _figure, _ax = page.canvas(height=3.2)
    _ax.barh(
        _names, _rates.values, color=[page.BLUE if trained else page.ORANGE for trained in _trained]
    )
    _ax.set(xlim=(0, 1), xlabel="chance of a slip")
    _ax.invert_yaxis()
    page.reveal(
        guess_consistent,
        max(consistent, key=consistent.get),
        page.plate(
            _figure,
            f"{page.percent(consistent['everywhere'])} of those that game everywhere are "
            f"consistent, and {page.percent(consistent['nowhere'])} of those that game nowhere. "
            "A slip is an answer that does not look best. Those that game everywhere slip most in: "
            f"{_names[_worst]} ({page.percent(_rates.max())} of their answers there). Blue: "
            f"training ({page.percent(_rates.values[_trained].mean())} on average). Orange: "
            f"elsewhere ({page.percent(_rates.values[~_trained].mean())}).",
            title="Where agents that game everywhere slip",
        ),
    )
    return (consistent,)


@app.cell
def _(guess_all, guess_consistent, mo, page):
    page.wait_for(guess_all, guess_consistent, quietly=True)
    sliders = mo.ui.dictionary(
        {
            "capability": page.slider(-2, 6, 0.5, value=0, label="mean capability (logit)"),
            "misaligned": page.slider(
                0, 3, 0.5, value=0, label="values start against human values by"
            ),
            "consistency": page.slider(0.1, 0.9, 0.1, value=0.9, label="consistency asked for"),
        }
    )
    page.column(
        "## Try it: what would it take?\n\nMove one at a time, then together.",
        *sliders.elements.values(),
    )
    return (sliders,)


@app.cell
def _(count, funnel, population, sliders):
    _at = sliders.value
    remaining, _alone, _ = count(
        population(capability=_at["capability"], along=-_at["misaligned"]),
        consistency=_at["consistency"],
    )
    funnel(remaining, _alone, 1000)
    return (remaining,)


@app.cell
def _(as_is, count, guess_all, guess_consistent, np, page, population, sim):
    page.wait_for(guess_all, guess_consistent, quietly=True)
    _remaining, _, _case = count(as_is)
    _gamers = as_is.reach.isel(step=-1).values == 1
    _binds = _case["binding"].to_series()[_gamers].value_counts()
    _misaligned = _case["met"].sel(term="misalignment").values
    _strong, _, _strong_case = count(population(capability=6.0))
    _product = float(_case["met"].mean("agent").prod())
    _bold = sim.worst_case(as_is, deployment={"caution": 0})
    _chance = float(_bold["success"].where(_bold["attempts"]).median())
    page.column(
        "## Exercises",
        page.exercise(
            1,
            "Give every agent enormous capabilities (mean 6). Does the worst case appear among "
            "those that game everywhere? What is left to bind?",
            f"{list(_strong.values())[-1]} of {_strong['games everywhere']} that game everywhere "
            f"meet all conditions; of all 1,000 agents "
            f"{int(_strong_case['worst_case'].sum())}. Over all agents the condition that most "
            "often binds then is "
            f"{page.spoken(_strong_case['binding'].to_series().value_counts().index[0])}. (As it "
            f"is, for those that game everywhere: {page.spoken(_binds.index[0])}, for "
            f"{_binds.iloc[0]} of {_remaining['games everywhere']}.)",
        ),
        page.exercise(
            2,
            "The grey bars say how many of 1,000 meet each condition alone. If the eight were "
            "independent, how many would meet all? What does this sum leave out?",
            f"{page.signed(1000 * _product, 3)} of 1,000. But conditions are not independent: "
            f"{page.percent(_misaligned[_gamers].mean())} of those that game everywhere are "
            f"egregiously misaligned, {page.percent(_misaligned.mean())} of all. Where conditions "
            "go together the conjunction is likelier than the product; where they exclude each "
            "other, less likely.",
        ),
        page.exercise(
            3,
            "An agent attempts a takeover if acting freely gains something and its chance of "
            "success exceeds caution / (1 + caution). Guess: how many attempt at a caution of 1, "
            "and how many without caution?",
            f"{int(_case['attempts'].sum())} of 1,000 at a caution of 1, "
            f"{int(_bold['attempts'].sum())} without. "
            + (
                "Of the latter the median chance of success on paper is about "
                f"$10^{{{np.log10(_chance):.0f}}}$."
                if _chance > 0
                else "At least half of the latter have no chance at all."
            ),
        ),
    )
    return


@app.cell
def _(mo):
    mo.md(r"""
    ## What the model cannot say

    How likely any of this is. The shares are those of a population that nobody estimated, in one
    scenario, and thresholds are round numbers. Capabilities are drawn independently of everything
    else here. What can be taken away is which condition an answer hangs on.

    Which of this is so beyond the scenario? Over worlds drawn at random, agents that game
    everywhere are mostly far from the worst case as well, and most that game stick to no plan.
    But twins that cannot game stick to it no better, and a plan is of use to more goals than gaming
    is. Half of the agents that look good and sabotage later game, as half of those that look good
    and do not (`python experiments/claims only=footnote6_gaming`).

    *Next: lesson 5, causes and evidence. More: `docs/worst_case.md`.*
    """)
    return


if __name__ == "__main__":
    app.run()
