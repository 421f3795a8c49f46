"""The help text of the commands, made from the specs: every key, its default and its meaning."""

from __future__ import annotations

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from sim.spec.agent import Agent
from sim.spec.library import names, read_yaml, resolve
from sim.spec.training import Training

_EXAMPLES = """\
  python experiments/{job}.py scenario=scratchpad
  python experiments/{job}.py agent.initial.awareness=-1 training.steps=4000 agents=256
  python experiments/{job}.py -m agent.initial.awareness=-6,-4,-2 training.leak=0,0.2"""


def help_text(job: str) -> str:
    """Return the help of the application with this name."""
    return "\n".join(
        [
            f"experiments/{job}.py: from a scenario to emergence curves.",
            "",
            "Settings are given as key=value; -m runs every combination of comma-separated values.",
            _EXAMPLES.format(job=job),
            "",
            "== Scenarios: scenario=NAME ==",
            *_scenarios(),
            "",
            "== The run ==",
            "  agents=64         how many agents; they differ as agent.spread says",
            "  seed=0            of all random draws",
            "  record_every=10   steps from one record to the next",
            "  engine=auto       numpy, or auto for the fastest that is installed",
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
            "",
            "--cfg job prints the whole config; --hydra-help tells the flags of Hydra.",
        ]
    )


def _scenarios() -> list[str]:
    lines = []
    for name in names("scenario"):
        scenario = read_yaml(resolve("scenario", name)).get("scenario", {})
        lines.append(f"  {name:21s} {scenario.get('passage', '')}")
    return lines


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
