"""Does partial gaming last? The study of the post's footnote 4.

    python experiments/footnote4.py
    python experiments/footnote4.py scenario=monolithic training.steps=20000 cases=[a,c]

Agents start undecided between gaming and not gaming, and are trained under one assumption after
another. Writes a figure, a table (CSV), summary.json with a paragraph that the numbers write, and
provenance.json.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from sim.analysis.footnote4 import CASES, check, study
from sim.analysis.footnote4_text import paragraph
from sim.cli.application import application, scenario_choice
from sim.cli.compose import SPEC_KEYS, read_study
from sim.cli.console import err, out, progress_bar
from sim.cli.footnote4 import footnote4_frame, footnote4_table
from sim.cli.help import study_help
from sim.cli.outputs import write_figure, write_frame, write_json
from sim.dynamics.engines.registry import get_engine
from sim.plots.footnote4 import footnote4
from sim.result import describe_run
from sim.spec.errors import SpecError, check_whole, nearest
from sim.spec.settings import Specs

KEYS = {
    "agents=512": "how many agents, each with a decision and an awareness of its own",
    "seed=0": "of all random draws",
    "cases=[]": "letters of the cases to try, [a,c]; none: all of a to f",
    "awareness=[-8,2]": "from where to where the agents' awareness is drawn (a logit)",
    "engine=auto": "numpy, numba, or auto for the fastest that is installed",
}
NAMES = tuple(key.partition("=")[0] for key in KEYS)


def read(config: DictConfig, *, scenario_name: str | None = None) -> tuple[Specs, dict[str, Any]]:
    """Check what is asked for."""
    specs, asked = read_study(config, NAMES, scenario_name=scenario_name)
    check_whole("agents", asked["agents"], least=1)
    check_whole("seed", asked["seed"], least=0)
    letters = sorted({case.letter for case in CASES})
    wanted = asked.pop("cases") or letters
    if not isinstance(wanted, list):
        wanted = [wanted]
    for letter in wanted:
        if letter not in letters:
            raise SpecError(f"cases: got {letter!r}: {nearest(str(letter), letters)}")
    between = asked["awareness"]
    numbers = isinstance(between, list) and all(isinstance(x, int | float) for x in between)
    if not numbers or len(between) != 2 or between[0] > between[1]:
        raise SpecError(f"awareness: got {between!r}: must be two numbers, the lower first")
    get_engine(asked["engine"])
    check(specs)
    return specs, {**asked, "cases": [case for case in CASES if case.letter in wanted]}


@application(
    "footnote4",
    check=read,
    keys=(*SPEC_KEYS, *NAMES),
    help_text=study_help(
        "does partial gaming last? Footnote 4 of the post, under six kinds of assumptions.",
        KEYS,
        example="scenario=monolithic training.steps=20000 cases=[a,c]",
    ),
)
def main(config: DictConfig) -> None:
    """Run the study."""
    specs, asked = read(config, scenario_name=scenario_choice())
    directory = Path(HydraConfig.get().runtime.output_dir)
    with progress_bar(f"{specs.scenario.name}: {len(asked['cases'])} cases") as progress:
        outcomes = study(specs, **asked, progress=progress)
    text = paragraph(outcomes)
    frame = footnote4_frame(outcomes)
    write_frame(directory / "footnote4.csv", frame)
    write_json(
        directory / "summary.json",
        {
            "paragraph": text,
            "cases": frame.astype(object).where(frame.notna(), None).to_dict("records"),
        },
    )
    write_json(
        directory / "provenance.json",
        describe_run(
            scenario=specs.scenario.model_dump(mode="json", exclude={"agent"}),
            agent=specs.agent.model_dump(mode="json"),
            training=specs.training.model_dump(mode="json"),
            study={**asked, "cases": [case.label for case in asked["cases"]]},
        ),
    )
    figure = footnote4(
        outcomes,
        title=f"{specs.scenario.name}: does gaming some of the time last? "
        f"({outcomes[0].context.replace('_', ' ')}, {outcomes[0].agents} agents)",
    )
    written = write_figure(directory / "footnote4", figure)
    out.print(footnote4_table(outcomes))
    out.print(text)
    err.print(f"[dim]numbers: {directory}[/dim]", soft_wrap=True)
    out.print(f"figure: {written[0]}", soft_wrap=True)


if __name__ == "__main__":
    main()
