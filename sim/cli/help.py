"""The help texts of the commands. That of runs is made from the specs: every key there is."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from pydantic import BaseModel

from sim.specs.agent import Agent
from sim.specs.library import names, read_yaml, resolve
from sim.specs.training import Training

_EXAMPLES = """\
  python experiments/{script} scenario=scratchpad
  python experiments/{script} agent.initial.awareness=-1 training.steps=4000 agents=256
  python experiments/{script} -m agent.initial.awareness=-6,-4,-2 training.leak=0,0.2"""

#: How a command of the console script is called, with its name behind it.
CONSOLE = "training-gaming "

#: A name that no file has.
PRIOR_NUMBER = "a world drawn from a prior that has worlds, such as worlds/7"

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
  hydra.sweep.dir=DIR           where sweeps are kept (outputs/emergence-sweep)
  hydra/sweeper=basic           one job for each run, in a directory of its own; so does every
                                hydra/launcher=NAME (joblib, submitit_local, submitit_slurm)"""


def config_help(config: Path, script: str) -> str:
    """Return the help of a command: its config with the comments, and what else can be chosen.

    Left out are the config's `defaults` and `hydra` blocks. Of its first comment the `#` goes, and
    a command line that starts the script, in experiments/, is written as it was called.
    """
    lines = config.read_text(encoding="utf-8").splitlines()
    start = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
    head = [line.removeprefix("#").removeprefix(" ") for line in lines[:start]]
    body, is_left_out = [], False
    for line in lines[start:]:
        if line and not line.startswith((" ", "-", "#")):
            is_left_out = line.startswith(("defaults:", "hydra:"))
        elif not line.startswith((" ", "-")):
            is_left_out = False
        if not is_left_out:
            body.append(line)
    parts = ["\n".join(head).strip(), "Settings are given as key=value.", "\n".join(body).strip()]
    scenarios = [line for line in lines if re.match(r"  - scenario: ", line)]
    if scenarios:
        default = scenarios[0].split(":")[1].strip()
        parts.append("\n".join(_scenarios(default)))
    outputs = f"outputs/{Path(script).stem}"
    parts.append(
        f"Writes into a directory below {outputs}; hydra.run.dir=DIR chooses another.\n"
        f"-m runs every combination of comma-separated values.\n{_FLAGS}"
    )
    text = "\n\n".join(parts)
    if sys.argv[0].startswith(CONSOLE):
        text = text.replace(f"python experiments/{script}", sys.argv[0])
    return text


def run_help() -> str:
    """Return the help of the command that makes runs."""
    script = "emergence.py"
    return "\n".join(
        [
            f"experiments/{script}: from a scenario to emergence curves.",
            "",
            "Settings are given as key=value; -m runs every combination of comma-separated values.",
            _EXAMPLES.format(script=script),
            "",
            *_scenarios(),
            "",
            "== The run ==",
            "  agents=64         how many agents; they differ as agent.spread says",
            "  seed=0            of all random draws",
            "  record_every=10   steps from one record to the next",
            "  engine=auto       numpy, numba, jax, or auto for the fastest that is installed",
            "  precision=float64 or float32, for exploratory maps (engine numba)",
            "  do=[]             interventions: 'do=[{key: gaming, set: 0, start: 500}]'",
            "     key: gaming, state.NAME, agent.TRAIT, training.NAME, scenario.contexts.*.NAME",
            "          oversight.*.NAME, deployment.NAME (no steps: they come after training)",
            "     set: NUMBER, scale: NUMBER or freeze: true; start: STEP, stop: STEP or null",
            "",
            "== The agent: traits and starting state (MODEL.md section 2) ==",
            *_keys("agent", Agent(), skip=("spread",)),
            "  agent.spread.KEY             how far agents differ in that key",
            "",
            "== Training and its assumptions (MODEL.md section 4) ==",
            *_keys("training", Training()),
            "",
            "== The scenario: any number of it, for example ==",
            "  scenario.contexts.CONTEXT.info=0.5   weight, info, scratchpad, cue, monitor",
            "  scenario.contexts.CONTEXT.method=demonstration   or reinforcement",
            "",
            _SWEEP,
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
    return [*lines, f"  {'PRIOR/NUMBER':21s} {PRIOR_NUMBER}"]


def _keys(path: str, spec: BaseModel, *, skip: tuple[str, ...] = ()) -> list[str]:
    lines = []
    for name, field in type(spec).model_fields.items():
        if name in skip:
            continue
        value = getattr(spec, name)
        if isinstance(value, BaseModel):
            lines += _keys(f"{path}.{name}", value)
        else:
            setting = f"{path}.{name}={_show(value)}"
            lines.append(f"  {setting:38s} {field.description or ''}".rstrip())
    return lines


def _show(value: object) -> str:
    if value is None:
        return "null"
    return f"{value:g}" if isinstance(value, float) else str(value)
