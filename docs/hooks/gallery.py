"""The page of scenarios, docs/scenarios.md, from configs/scenario: the passage and figure of each.

`make figures` runs it; with `--page` it writes the page alone.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent.parent
SCENARIOS = sorted((ROOT / "configs" / "scenario").glob("*.yaml"))
_HEAD = """# Scenarios

Each scenario is a file in [configs/scenario](../configs/scenario) that can be read aloud: \
the passage of the post that it renders, and what \
`python experiments/emergence.py scenario=NAME` draws of it. Lines are medians over agents, bands \
reach from the 10th to the 90th percentile, dots mark the median onset of gaming. Dotted: the same \
values, had training never come to mind. What each scenario must show, and that it stops when its \
cause is taken away, is tested.
"""


def page() -> str:
    """Return the text of the page."""
    parts = [_HEAD]
    for path in SCENARIOS:
        text = path.read_text(encoding="utf-8")
        lines = text.partition("\n")[2].splitlines()
        end = next(i for i, line in enumerate(lines) if not line.startswith("#"))
        comment = " ".join(line.lstrip("# ") for line in lines[:end])
        passage = yaml.safe_load(text)["scenario"]["passage"]
        name = path.stem
        title = name.replace("_", " ").capitalize()
        parts.append(
            f"## {title}\n\n`scenario={name}`, passage: {passage}\n\n{comment}\n\n"
            f"![Gaming rates, values and value drift over training in the scenario {name}]"
            f"(images/scenario_{name}.png)\n"
        )
    return "\n".join(parts)


def draw() -> None:
    """Run every scenario as on the command line, and keep its figure."""
    for path in SCENARIOS:
        directory = ROOT / "outputs" / "figures" / "scenarios" / path.stem
        settings = [f"scenario={path.stem}", f"hydra.run.dir={directory}"]
        program = ROOT / "experiments" / "emergence.py"
        subprocess.run([sys.executable, str(program), *settings], cwd=ROOT, check=True)
        target = ROOT / "docs" / "images" / f"scenario_{path.stem}.png"
        shutil.copyfile(directory / "emergence.png", target)


if __name__ == "__main__":
    if sys.argv[1:] != ["--page"]:
        draw()
    (ROOT / "docs" / "scenarios.md").write_text(page(), encoding="utf-8")
