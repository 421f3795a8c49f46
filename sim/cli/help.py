"""The help texts of the commands. That of runs is made from the specs: every key there is."""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from sim.specs.agent import Agent
from sim.specs.deployment import Deployment
from sim.specs.library import names, read_yaml, resolve
from sim.specs.oversight import Oversight
from sim.specs.training import Training

_EXAMPLES = """\
  python experiments/{job}.py scenario=scratchpad
  python experiments/{job}.py agent.initial.awareness=-1 training.steps=4000 agents=256
  python experiments/{job}.py -m agent.initial.awareness=-6,-4,-2 training.leak=0,0.2"""

#: How a command of the console script is called, with its name behind it.
CONSOLE = "training-gaming "

_FLAGS = "--cfg job prints the whole config; --hydra-help tells the flags of Hydra."

_SWEEP = """\
== Sweeps: -m, with several values for any key above ==
  KEY=0,1,2   KEY=range(4)   scenario=glob(*)          values; every combination is run
  KEY=interval(0,1)   KEY=tag(log,interval(0.001,1))   a range to sample, of a number
  Runs that differ in numbers are computed together. All of a sweep stands in one directory; the
  same command does only what is missing of it, after Ctrl-C too.
  record=curves           what is kept: summary (a row for each run), curves (and emergence
                          curves, for experiments/curves.py), full (and everything)
  executor=local          threads of this process; executor.threads=2
  executor=dask           a Dask cluster; executor.address=tcp://HOST:PORT, or executor.workers=2
  hydra.sweeper.combine=grid    zip: first numbers together, second numbers together, ...
  hydra.sweeper.sampling=sobol  how intervals are sampled; or lhs (Latin hypercube)
  hydra.sweeper.points=64       how many points are sampled
  hydra.sweeper.seed=0          of the sampling
  hydra.sweep.dir=DIR           where sweeps are kept (outputs/{job}-sweep)
  hydra/sweeper=basic           one job for each run, in a directory of its own; so does every
                                hydra/launcher=NAME (joblib, submitit_local, submitit_slurm)"""

_CURVES = """\
experiments/{job}.py: emergence curves of a sweep, by any of its axes; and paired differences.

Settings are given as key=value.
  python experiments/{job}.py sweep=outputs/emergence-sweep/copyright-1a2b3c4d
  python experiments/{job}.py sweep=DIR variables=[reach,alignment] lines=training.leak
  python experiments/{job}.py sweep=DIR difference=training.leak baseline=0

  sweep=DIR         the directory of a sweep that kept curves (or a URL of fsspec)
  variables=[]      what is drawn, of
                    {variables};
                    NAME stands for all contexts or values, NAME.CONTEXT for one;
                    none: the gaming rate where it is highest
  lines=null        the axis whose levels are lines (agent.initial.awareness); null: the first
  panels=null       the axis whose levels are panels side by side
  difference=null   the axis whose effect is drawn instead: between runs that share their seed, and
                    so every random draw, and all other axes
  baseline=null     the level of this axis which others are compared with; null: the first

Writes curves.png, curves.svg and their numbers, curves.csv (or differences.*), into a directory
below outputs/{job}; hydra.run.dir=DIR chooses another.

{flags}"""


def curves_help(job: str) -> str:
    """Return the help of the application that draws curves."""
    from sim.sweeps.record import CURVES  # with all that sweeps need, which takes time to import

    names = f"\n{' ' * 20}".join(textwrap.wrap(", ".join(CURVES), 76))
    return _CURVES.format(job=job, variables=names, flags=_FLAGS)


def keys_of(own: Mapping[str, str]) -> tuple[str, ...]:
    """Return the keys of what a study can be told, from KEY=DEFAULT and what each says."""
    return tuple(setting.split("=")[0] for setting in own if "=" in setting)


def study_help(
    title: str,
    own: Mapping[str, str],
    *,
    example: str,
    sections: Sequence[str] = (),
) -> Callable[[str], str]:
    """Return what makes the help of an application with keys of its own.

    Args:
        title: What it does, in a line or some.
        own: Its keys with their defaults (`KEY=DEFAULT`), and what each is for.
        example: Settings, to be tried.
        sections: Of what comes after training, those that the application has (`AFTER_KEYS`).
    """

    def text(job: str) -> str:
        return "\n".join(
            [
                f"experiments/{job}.py: {title}",
                "",
                "Settings are given as key=value.",
                f"  python experiments/{job}.py {example}",
                "",
                "== The study ==",
                *(f"  {key:38s} {meaning}" for key, meaning in own.items()),
                "",
                *_scenarios(),
                "",
                *_settings(),
                "",
                *(line for name in sections for line in (*_after(name), "")),
                f"Writes into a directory below outputs/{job}; hydra.run.dir=DIR chooses another.",
                _FLAGS,
            ]
        )

    return text


def config_help(folder: Path) -> str:
    """Return the help of a study: its config with the comments, and what else there is to choose.

    Left out are the config's `defaults` and `hydra` blocks. Of its first comment the `#` goes, and
    a command that starts the study is written as it was called.
    """
    lines = (folder / "config.yaml").read_text(encoding="utf-8").splitlines()
    start = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
    head = [line.removeprefix("#").removeprefix(" ") for line in lines[:start]]
    kept, is_left_out = [], False
    for line in lines[start:]:
        if line and not line.startswith((" ", "-", "#")):
            is_left_out = line.startswith(("defaults:", "hydra:"))
        elif not line.startswith((" ", "-")):
            is_left_out = False
        if not is_left_out:
            kept.append(line)
    parts = ["\n".join(head).strip(), "Settings are given as key=value.", "\n".join(kept).strip()]
    chosen = [line for line in lines if re.match(r"  - scenario: ", line)]
    if chosen:
        default = chosen[0].split(":")[1].strip()
        parts.append("\n".join(_scenarios(default)))
    parts.append(
        f"Writes into a directory below outputs/{folder.name}; hydra.run.dir=DIR chooses another.\n"
        f"-m runs every combination of comma-separated values.\n{_FLAGS}"
    )
    text = "\n\n".join(parts)
    if sys.argv[0].startswith(CONSOLE):
        text = text.replace(f"python experiments/{folder.name}", sys.argv[0])
    return text


def run_help(job: str) -> str:
    """Return the help of an application that makes runs."""
    return "\n".join(
        [
            f"experiments/{job}.py: from a scenario to emergence curves.",
            "",
            "Settings are given as key=value; -m runs every combination of comma-separated values.",
            _EXAMPLES.format(job=job),
            "",
            *_scenarios(),
            "",
            "== The run ==",
            "  agents=64         how many agents; they differ as agent.spread says",
            "  seed=0            of all random draws",
            "  record_every=10   steps from one record to the next",
            "  engine=auto       numpy, numba, or auto for the fastest that is installed",
            "  precision=float64 or float32, for exploratory maps (engine numba)",
            "  do=[]             interventions: 'do=[{key: gaming, set: 0, start: 500}]'",
            "     key: gaming, state.NAME, agent.TRAIT, training.NAME, scenario.contexts.*.NAME",
            "          oversight.*.NAME, deployment.NAME (no steps: they come after training)",
            "     set: NUMBER, scale: NUMBER or freeze: true; start: STEP, stop: STEP or null",
            "",
            *_settings(),
            "",
            *_SWEEP.format(job=job).splitlines(),
            "",
            _FLAGS,
        ]
    )


def _scenarios(default: str | None = None) -> list[str]:
    """Return the scenarios that there are, and what each is about."""
    lines = [f"== Scenarios: scenario=NAME{f' ({default})' if default else ''} =="]
    for name in names("scenario"):
        scenario = read_yaml(resolve("scenario", name)).get("scenario", {})
        lines.append(f"  {name:21s} {scenario.get('passage', '')}")
    return lines


def _settings() -> list[str]:
    return [
        "== The agent: traits and starting state (MODEL.md section 2) ==",
        *_keys("agent", Agent(), skip=("spread",)),
        "  agent.spread.KEY             how far agents differ in that key",
        "",
        "== Training and its assumptions (MODEL.md section 4) ==",
        *_keys("training", Training()),
        "",
        "== The scenario: any number of it, for example ==",
        "  scenario.contexts.CONTEXT.info=0.5   weight, info, scratchpad, cue, monitor",
    ]


def _after(section: str) -> list[str]:
    if section == "thresholds":
        from sim.analysis.worst_case import Thresholds

        lines = [f"  thresholds.{term}={number:g}" for term, number in vars(Thresholds()).items()]
        return ["== The worst case: from where on each term holds (MODEL.md section 5) ==", *lines]
    options = ", ".join(f"{section}={name}" for name in names(section))
    spec: BaseModel = Oversight() if section == "oversight" else Deployment()
    title = section.capitalize()
    return [f"== {title} (MODEL.md section 6): {options} ==", *_keys(section, spec)]


def _keys(path: str, spec: BaseModel, *, skip: tuple[str, ...] = ()) -> list[str]:
    lines = []
    for name, field in type(spec).model_fields.items():
        if name in skip:
            continue
        value = getattr(spec, name)
        if isinstance(value, BaseModel):
            lines += _keys(f"{path}.{name}", value)
        else:
            lines.append(_line(f"{path}.{name}={_show(value)}", field))
    return lines


def _line(setting: str, field: FieldInfo) -> str:
    return f"  {setting:38s} {field.description or ''}".rstrip()


def _show(value: object) -> str:
    if value is None:
        return "null"
    return f"{value:g}" if isinstance(value, float) else str(value)
