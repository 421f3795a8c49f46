"""The page: verdicts first, then what is needed to read them, then claim by claim."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from sim.analysis.claims import (
    Answer,
    axis_text,
    command_of,
    condition_text,
    number_text,
    share_text,
    verdict_text,
    where_text,
)
from sim.analysis.claims_map import Emergence, RegimeMap
from sim.analysis.claims_measures import How
from sim.analysis.footnote4_text import paragraph
from sim.analysis.funnel_text import stage_name
from sim.analysis.words import listed
from sim.plots.claims import alternative_text, claim_figure
from sim.plots.claims_beside import beside_figure
from sim.plots.claims_emergence import emergence_figure
from sim.plots.claims_svg import inline_svg
from sim.report.markup import Content, Html, joined, table, tag
from sim.report.regimes import SCRIPT, regime_section
from sim.report.style import style_sheet
from sim.report.words import CAUTION, LEAD, READING, TERMS
from sim.spec.claim import Circumstances, Region

TITLE = "The post, executable: training-gaming and the worst case, claim by claim"
#: Nothing may be fetched by the page, whatever is in it.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def report_page(
    found: Sequence[Answer], how: How, *, scenarios: Sequence[Emergence], regimes: RegimeMap
) -> str:
    """Return the whole page.

    Args:
        found: The claims with what came out, in order.
        how: How they were run.
        scenarios: Emergence in every scenario.
        regimes: The map.
    """
    figure, alternative = emergence_figure(scenarios)
    main = [
        tag("h1", TITLE),
        tag("p", LEAD),
        tag("p", CAUTION),
        tag("h2", "Verdicts", id="verdicts"),
        tag("p", tally_text(found)),
        _contents(found),
        tag("h2", "How to read this page", id="reading"),
        tag("dl", [(tag("dt", head), tag("dd", text)) for head, text in READING]),
        tag("h2", "The model in a dozen terms", id="terms"),
        tag("dl", [(tag("dt", head), tag("dd", text)) for head, text in TERMS]),
        tag("h2", "When gaming emerges", id="emergence"),
        tag("p", "Each story of the post is a scenario. Thirty-two agents that differ a little in "
            "awareness are trained in it; lines are medians.")
        if how.size == 1.0
        else tag("p", "Each story of the post is a scenario; lines are medians over agents."),
        _figure("emergence-figure", inline_svg(figure, name="emergence", alternative=alternative)),
        tag("h2", "Which regime where", id="regimes"),
        tag("p", "The copyright story again, from start to end, for agents that differ in two "
            "assumptions. Each cell is a run of its own."),
        regime_section(regimes),
        [_claim(one, how) for one in found],
        _colophon(found, how),
    ]  # fmt: skip
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", TITLE),
        tag("style", Html(style_sheet())),
    ]
    body = [
        tag("a", "Skip to the verdicts", href="#verdicts", class_="skip"),
        tag("main", main),
        tag("script", Html(SCRIPT)),
    ]
    page = tag("html", tag("head", head), tag("body", body), lang="en")
    return f"<!DOCTYPE html>\n{page}\n"


def tally_text(found: Sequence[Answer]) -> str:
    """Say how many claims hold, depend and fail."""
    kinds = [one.judged.kind for one in found]
    said = [
        f"{kinds.count(kind)} {word}"
        for kind, word in (
            ("holds", "hold"),
            ("depends", "depend on assumptions"),
            ("fails", "fail"),
            ("untried", "could not be tried"),
        )
        if kind in kinds
    ]
    points = sum(one.judged.points for one in found)
    return f"Of {len(found)} claims, tried at {points:,} points, {listed(said)}."


def _contents(found: Sequence[Answer]) -> Html:
    rows = []
    for one in found:
        judged = one.judged
        share = "–" if judged.kind == "untried" else share_text(judged.share)
        rows.append(
            [
                tag("a", one.claim.title, href=f"#{one.claim.name}"),
                _badge(judged.kind),
                share,
                f"{int(judged.given.sum()):,}",
                _where(one),
            ]
        )
    heads = ["Claim", "Verdict", "True at", "of points", "Where it is true"]
    caption = "All claims; the title leads to each"
    return tag("nav", table(heads, rows, caption=caption, class_="contents"), aria_label="Claims")


def _where(found: Answer) -> str:
    if found.judged.rule is not None:
        return where_text(found.judged.rule)
    return {"depends": "no short rule", "holds": "throughout", "fails": "nowhere"}.get(
        found.judged.kind, "–"
    )


def _badge(kind: str) -> Html:
    return tag("span", kind, class_=f"badge {kind}")


def _figure(name: str, svg: str, caption: Content = None) -> Html:
    return tag(
        "figure",
        tag("div", Html(svg), class_="scroll", tabindex=0, role="group", aria_label="Figure"),
        tag("figcaption", caption) if caption else None,
        id=name,
    )


def _claim(found: Answer, how: How) -> Html:
    claim, judged = found.claim, found.judged
    svg = inline_svg(claim_figure(found), name=claim.name, alternative=alternative_text(found))
    caption = (
        "Left: how what the test looks at lies over the points, and the threshold (dashed). Right: "
        "the points over two assumptions; of many points, some are drawn."
    )
    return tag(
        "section",
        tag("h2", claim.title, " ", _badge(judged.kind)),
        tag("p", tag("strong", claim.says)),
        tag(
            "blockquote",
            tag("p", f"“{claim.quote}”"),
            tag("footer", f"The post: {claim.passage}"),
        ),
        tag("div", tag("p", verdict_text(found)), class_=f"verdict {judged.kind}"),
        tag("h3", "What it means here"),
        tag("p", claim.means),
        (tag("h3", "Why"), tag("p", claim.why)) if claim.why else None,
        _figure(f"{claim.name}-figure", svg, caption),
        _beside(found),
        tag("h3", "The numbers"),
        _tests(found),
        _levels(found),
        _numbers(found),
        tag("h3", "The experiment"),
        _experiment(found, how),
        (tag("h3", "What it cannot say"), tag("p", claim.limits)) if claim.limits else None,
        tag("p", tag("a", "Back to the verdicts", href="#verdicts"), class_="meta"),
        id=claim.name,
    )


def _beside(found: Answer) -> Content:
    drawn = beside_figure(found)
    if drawn is None:
        return None
    figure, alternative = drawn
    name = f"{found.claim.name}-beside"
    svg = inline_svg(figure, name=name, alternative=alternative)
    if "footnote4" in found.measured.beside:
        outcomes = found.measured.beside["footnote4"]
        return [
            tag("h3", "Case by case"),
            tag(
                "p",
                f"The same in one story, with {outcomes[0].agents} agents a panel. Each panel is "
                "one assumption; colours are shares of agents over training (a logarithmic scale). "
                "Orange are the undecided; where orange goes, being undecided did not last.",
            ),
            _figure(f"{name}-figure", svg),
            tag("p", paragraph(outcomes)),
        ]
    return [
        tag("h3", "The funnel"),
        tag(
            "p",
            "Read each column from the top: of all agents, those that game somewhere; of these, "
            "those that game everywhere; of these, those that are egregiously misaligned; and so "
            "on. A ring shows how many meet the condition whatever else they do: where the ring is "
            "far right of its bar, the condition is not rare, it just does not come together with "
            "those above.",
        ),
        _figure(f"{name}-figure", svg),
        [tag("p", funnel_text(prior, one)) for prior, one in
         found.measured.beside["funnels"].items()],
    ]  # fmt: skip


def funnel_text(prior: str, frame: pd.DataFrame) -> str:
    """Say a funnel: where most agents are lost, and what each condition alone would leave."""
    agents = int(frame["agents"].iat[0])
    count = frame.set_index("stage")["count"]
    alone = frame.set_index("stage")["alone"]
    games = int(count["games_somewhere"])
    gone = next((stage for stage, number in count.items() if number == 0), None)
    end = (
        f"nobody is left from “{stage_name(str(gone))}” on"
        if gone is not None
        else f"{int(count.iat[-1])} come to the end"
    )
    eight = alone.drop(["all", "games_somewhere", "games_everywhere", "attempts"]) / agents
    expected = agents * float(eight.prod())
    return (
        f"Under the prior {prior}, {games:,} of {agents:,} agents game somewhere; {end}. Each term "
        f"of the worst case alone is met by {share_text(float(eight.min()))} to "
        f"{share_text(float(eight.max()))} of agents; were the eight independent, "
        f"{_few(expected)} of {agents:,} agents would meet them all."
    )


def _few(expected: float) -> str:
    return f"{expected:.2g}" if expected >= 0.01 else "fewer than 0.01"


def _tests(found: Answer) -> Html:
    rows = [[test["says"], f"{test['met']:,} of {test['points']:,}"] for test in found.conditions()]
    return table(["The test: all of", "met at"], rows, caption="What makes it true at a point")


def _levels(found: Answer) -> Content:
    """Return how often the claim is true at each level of the assumptions that have few."""
    region, frame = found.claim.region, found.frame()
    axes = [*region.choices, *region.grid]
    if not axes:
        return None
    rows = []
    for axis in axes:
        for level, here in frame[frame["given"]].groupby(axis):
            shown = str(level) if isinstance(level, str) else float(level)
            rows.append(
                [
                    f"{axis_text(axis)} = {number_text(shown)}",
                    f"{int(here['true'].sum()):,} of {len(here):,}",
                ]
            )
    return table(["Where", "true at"], rows, caption="One assumption at a time")


def _numbers(found: Answer) -> Html:
    numbers = found.numbers()
    rows = [
        [
            row["label"],
            *(_number(row[key]) for key in ("low", "median", "high")),
            f"{row['points']:,}",
        ]
        for row in numbers.to_dict("records")
    ]
    caption = "Over the points to which the claim applies (percentiles)"
    return table(["Quantity", "10th", "median", "90th", "points"], rows, caption=caption)


def _number(number: float) -> str:
    if pd.isna(number):
        return "–"
    return f"{number:.3g}".replace("-", "−")


def _experiment(found: Answer, how: How) -> Html:
    claim, measure = found.claim, found.claim.measure
    items: list[tuple[str, Content]] = []
    if measure.study is None:
        items.append(("Scenario", measure.scenario))
        if measure.settings:
            items.append(("Set in all worlds", _settings(measure.settings)))
        if len(measure.worlds) > 1:
            worlds = [
                tag("li", f"{name.replace('_', ' ')}: ", _world(one))
                for name, one in measure.worlds.items()
            ]
            items.append(("Worlds, with the same random draws", tag("ul", worlds)))
    else:
        told = ", ".join(f"{key} {value}" for key, value in measure.options.items())
        items.append(("Study", f"{measure.study.replace('_', ' ')} ({told})"))
    items.append(("Region", _region(claim.region, found, how)))
    if claim.given:
        applies = listed([condition_text(one, claim) for one in claim.given])
        items.append(("Applies where", applies))
    items.append(
        ("Holds if", f"true at all points, or at {share_text(claim.enough)} with 95 % confidence")
    )
    items.append(("Runs", f"{found.measured.runs:,}, from seed {how.seed}"))
    return joined(
        [
            tag("dl", [(tag("dt", head), tag("dd", content)) for head, content in items]),
            tag("pre", tag("code", command_of(claim, how))),
        ]
    )


def _world(one: Circumstances) -> Content:
    said = []
    if one.scenario:
        said.append(f"scenario {one.scenario}")
    if one.settings:
        said.append(_settings(one.settings))
    said += [_settings(done) for done in one.do]
    for name, what in (("oversight", one.oversight), ("deployment", one.deployment)):
        if what:
            said.append(f"{name}: {_settings(what)}")
    return "; ".join(said) or "as the scenario has it"


def _settings(settings: object) -> str:
    if isinstance(settings, dict):
        return ", ".join(f"{key} {_settings(value)}" for key, value in settings.items())
    return f"({settings})" if isinstance(settings, list) else str(settings)


def _region(region: Region, found: Answer, how: How) -> Content:
    said = [
        f"{axis_text(key)}: {', '.join(name.replace('_', ' ') for name in names)}"
        for key, names in region.choices.items()
    ]
    said += [
        f"{axis_text(key)}: {', '.join(number_text(number) for number in numbers)}"
        for key, numbers in region.grid.items()
    ]
    for key, (low, high, *scale) in region.ranges.items():
        log = " (logarithmic)" if scale else ""
        said.append(f"{axis_text(key)}: {number_text(low)} to {number_text(high)}{log}")
    kind = "Sobol points" if region.ranges else "points of a grid"
    return [f"{found.judged.points:,} {kind}: ", tag("ul", [tag("li", one) for one in said])]


def _colophon(found: Sequence[Answer], how: How) -> Html:
    runs = sum(one.measured.runs for one in found)
    return tag(
        "section",
        tag("h2", "How this page was made"),
        tag(
            "p",
            f"{runs:,} runs, from seed {how.seed}. The same command with the same versions makes "
            "the same page.",
        ),
        tag("pre", tag("code", "make report")),
        id="colophon",
    )
