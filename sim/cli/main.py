"""The command `training-gaming`: runs, curves, scenarios, and every study that is installed.

Studies are found by their folders, in `sim/experiments` of the installed package or else in the
checkout: `worst_case` is `training-gaming worst-case`.
"""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from sim.specs.errors import SpecError, nearest
from sim.utils.files import write_anywhere
from sim.utils.format import printable

PROGRAM = "training-gaming"
PACKAGE = Path(__file__).parent.parent
#: Commands that are no studies, and what each is for.
COMMANDS = {
    "emergence": "From a scenario to emergence curves; with -m a sweep.",
    "curves": "Emergence curves of a sweep, by any of its axes, with bands.",
    "scenarios": "The scenarios there are; scenarios NAME (or PRIOR/NUMBER) prints one.",
}
EPILOGUE = f"""\
{PROGRAM} COMMAND --help lists what a command can be told.
eval "$({PROGRAM} -sc install=bash)" has this shell complete commands, keys and names
(zsh and fish as well; -sc uninstall=bash undoes it)."""


def main() -> None:
    """Run a command, as the first argument names it."""
    write_anywhere()
    name, *arguments = sys.argv[1:] or ["--help"]
    try:
        if name in ("--help", "-h", "help"):
            show(help_text())
        elif name == "--version":
            show(f"{PROGRAM} {version('training-gaming-sim')}")
        elif name in ("-sc", "--shell-completion"):
            complete(arguments)
        elif name == "scenarios":
            show(scenarios_text(arguments))
        else:
            start(name, arguments)
    except SpecError as error:
        print(f"error: {printable(error)}", file=sys.stderr)
        sys.exit(2)


def start(name: str, arguments: Sequence[str], *, program: str | None = None) -> None:
    """Start a Hydra application.

    Args:
        name: The command.
        arguments: What stands after it.
        program: By which name it is called; None: with that of the command.

    Raises:
        SpecError: There is none of this name.
    """
    studies = find_studies()
    if name not in COMMANDS and name not in studies:
        raise SpecError(f"{name}: unknown command; {nearest(name, [*COMMANDS, *studies])}")
    sys.argv = [program or f"{PROGRAM} {name}", *arguments]
    if name == "emergence":
        from sim.cli.emergence import main as emergence

        emergence()
    elif name == "curves":
        from sim.cli.curves import main as curves

        curves()
    else:
        from sim.cli.study import main as study

        study(str(studies[name] / "__main__.py"))


def complete(arguments: Sequence[str]) -> None:
    """Complete a command line, or tell a shell how to have it completed, by Hydra's means.

    Hydra knows the keys of one application, so the name of the command is taken out of the line.
    """
    line = os.environ.get("COMP_LINE", "")
    words = line.split()
    is_command_next = len(words) < 2 or (len(words) == 2 and not line.endswith(" "))
    if not any(argument.startswith("query=") for argument in arguments):
        start("emergence", ["-sc", *arguments], program=PROGRAM)
    elif is_command_next:
        show(" ".join([*COMMANDS, *find_studies()]))
    elif words[1] != "scenarios":
        os.environ["COMP_LINE"] = line.replace(f" {words[1]}", "", 1)
        start(words[1], ["-sc", *arguments], program=PROGRAM)


def find_studies() -> dict[str, Path]:
    """Find the folders of studies, by the name of their command."""
    installed = PACKAGE / "experiments"
    root = installed if installed.is_dir() else PACKAGE.parent / "experiments"
    folders = sorted(path.parent for path in root.glob("*/config.yaml"))
    return {folder.name.replace("_", "-"): folder for folder in folders}


def title_of(folder: Path) -> str:
    """Return the title of a study: the docstring of its `__main__.py`."""
    text = (folder / "__main__.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]


def help_text() -> str:
    """Return what --help prints: every command with a line of its own."""
    studies = {name: title_of(folder) for name, folder in find_studies().items()}
    lines = [f"  {name:16s} {text}" for name, text in {**COMMANDS, **studies}.items()]
    usage = f"Usage: {PROGRAM} COMMAND [KEY=VALUE ...]"
    return "\n".join([usage, "", *lines, "", EPILOGUE])


def scenarios_text(arguments: Sequence[str]) -> str:
    """Return the scenarios with a line for each, or the YAML of the one that is named.

    Raises:
        SpecError: There is none of this name, or more than one is named.
    """
    import yaml

    from sim.cli.help import PRIOR_NUMBER
    from sim.specs.library import names, read_data, resolve, world_name
    from sim.specs.scenario import Scenario

    if len(arguments) > 1:
        raise SpecError(f"scenarios: takes one name, got {' '.join(arguments)}")
    if arguments and arguments[0] not in ("--help", "-h"):
        if world_name(arguments[0]):
            data = Scenario.load(arguments[0]).to_data()
            text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)
            return f"# @package _global_\n{text}".rstrip()
        path = resolve("scenario", arguments[0])
        read_data("scenario", path)  # a file of something else is refused
        return printable(path.read_text(encoding="utf-8").rstrip())
    files = {name: read_data("scenario", resolve("scenario", name)) for name in names("scenario")}
    scenarios = {name: data.get("scenario", {}) for name, data in files.items()}
    lines = {name: data.get("passage", "") for name, data in scenarios.items()}
    lines["PRIOR/NUMBER"] = PRIOR_NUMBER
    return "\n".join(f"{name:21s} {line}" for name, line in lines.items())


def show(text: str) -> None:
    """Print; that the reader has left is no error."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
