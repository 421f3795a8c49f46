"""The runner of all studies: a config goes in; tables, figures, a report and provenance come out.

A study is a folder, in experiments/ or anywhere else:

    __main__.py    `if __name__ == "__main__": main(__file__)`; `python FOLDER key=value` starts it
    config.yaml    the default of every key, with a comment for each: that is --help
    study.py       `Settings`, `run`, `tables`; if it likes `check`, `summary`, `write`, `SHOWN`
    figure.py      `figures` (may be left out)
    report.md.j2   the text, a template of Jinja2 (may be left out)

`tables`, `summary`, `write` and `figures` take the results first, `write` the directory after them.
Besides, a function of a study is given those of these that it names:

    specs          scenario, agent, training and interventions (`sim.specs.overrides.Specs`); None
                   if the config has no scenario
    settings       the study's own keys, an instance of its `Settings`
    post_training  oversight, deployment and thresholds, if the config has them
    executor       who computes sweeps, if the config has one
    progress       is to be called with the share that is done (of `run` only)
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from sim.cli.keys import AFTER_KEYS, SPEC_KEYS, check_keys, plain, scenario_choice
from sim.specs.errors import SpecError, nearest
from sim.specs.scenario import STORY
from sim.utils.format import join_words

if TYPE_CHECKING:
    import pandas as pd

    from sim.specs.base import Spec
    from sim.specs.overrides import Specs


REPORT = "report.md.j2"


@dataclass(frozen=True)
class Study:
    """A study, known by its folder; nothing of it is imported before it is needed."""

    folder: Path

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.folder.name

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The keys that its config has at the top: its own, sections and groups."""
        from sim.specs.library import read_yaml

        config = read_yaml(self.folder / "config.yaml")
        defaults = config.pop("defaults", [])
        groups = [key.split()[-1] for entry in defaults if isinstance(entry, dict) for key in entry]
        if any("open_after" in entry.values() for entry in defaults if isinstance(entry, dict)):
            groups += AFTER_KEYS
        return tuple(dict.fromkeys(k for k in [*groups, *config] if k not in ("sections", "hydra")))

    @property
    def module(self) -> ModuleType:
        """Its `study.py`."""
        return self._import("study")

    @property
    def figures(self) -> Callable[..., Mapping[str, Any]] | None:
        """The function that draws its figures, if it has a `figure.py`."""
        if not (self.folder / "figure.py").exists():
            return None
        figures: Callable[..., Mapping[str, Any]] = self._import("figure").figures
        return figures

    def add_to_path(self) -> str:
        """Make its package importable, in this process; returns the name of the package.

        As pytest does: what is put on `sys.path` is the folder above the outermost package.
        """
        parts, above = [self.name], self.folder.parent
        while (above / "__init__.py").exists():
            parts, above = [above.name, *parts], above.parent
        # `python FOLDER` puts the folder itself there, where its modules would hide others.
        sys.path[:] = [place for place in sys.path if not _is_same(place, self.folder)]
        if not any(_is_same(place, above) for place in sys.path):
            sys.path.insert(0, str(above))
        return ".".join(parts)

    def _import(self, part: str) -> ModuleType:
        from sim.cli.errors import FAILED, Stopped

        package = self.add_to_path()
        try:
            module = importlib.import_module(f"{package}.{part}")
        except ModuleNotFoundError as error:
            if f"{package}.{part}".startswith(str(error.name)):
                raise SpecError(
                    f"{self.folder}: has no {part}.py, or its name is taken by another package"
                ) from None
            line = f'{self.name} needs {error.name}; pip install "training-gaming-sim[studies]"'
            raise Stopped(f"{line} brings what the project's studies need", FAILED) from None
        if not _is_same(str(Path(str(module.__file__)).parent), self.folder):
            raise SpecError(f"{self.folder}: its name, {package}, is taken by {module.__file__}")
        return module

    def read(self, config: DictConfig, *, scenario_name: str | None = None) -> Inputs:
        """Check what a composed config says.

        Raises:
            SpecError: One line: what was wrong, where, what is allowed.
        """
        from sim.cli.compose import make_executor, pop_post_training, pop_specs

        data = plain(config)
        check_keys(data, self.keys, self.folder / "config.yaml")
        specs = pop_specs(data, scenario_name) if "scenario" in self.keys else None
        optional: dict[str, Any] = {}
        if specs is not None and any(key in self.keys for key in AFTER_KEYS):
            optional["post_training"] = pop_post_training(data, specs.scenario)
        if "executor" in self.keys:
            optional["executor"] = make_executor(data.pop("executor", None))
        own = {k: v for k, v in data.items() if specs is None or k not in SPEC_KEYS}
        try:
            settings = self.module.Settings.parse(own, path="")
        except SpecError as error:
            raise SpecError(str(error).lstrip(".: ")) from None
        inputs = Inputs(specs, settings, optional)
        check = getattr(self.module, "check", None)
        if check is not None:
            inputs.give(check)
        return inputs


@dataclass(frozen=True)
class Inputs:
    """A study's config, checked."""

    specs: Specs | None  # None without a scenario
    settings: Spec  # the study's own keys
    optional: Mapping[str, Any]  # what only some configs have: `post_training`, `executor`

    def give(self, function: Callable[..., Any], *first: object, **more: object) -> Any:
        """Call a function of a study with some arguments, and with those of the rest it names."""
        arguments = {"specs": self.specs, "settings": self.settings, **self.optional, **more}
        names = list(inspect.signature(function).parameters)[len(first) :]
        for name in names:
            if name not in arguments:
                origin = f"{function.__module__}.{function.__qualname__}"
                raise SpecError(f"{origin}: {name!r} is not given here; {nearest(name, arguments)}")
        return function(*first, **{name: arguments[name] for name in names})

    def describe(self) -> dict[str, Any]:
        """Return the provenance: specs, settings, versions and platform, ready for JSON."""
        from sim.result import describe_run

        sections: dict[str, Any] = {}
        if self.specs is not None:
            scenario, agent, training, interventions = self.specs
            sections = {
                "scenario": scenario.model_dump(mode="json", exclude=set(STORY)),
                "agent": agent.model_dump(mode="json"),
                "training": training.model_dump(mode="json"),
                "interventions": [each.model_dump(mode="json") for each in interventions],
            }
        if "post_training" in self.optional:
            sections |= self.optional["post_training"].to_dict()
        return describe_run(**sections, study=self.settings.model_dump(mode="json"))


class StudyTask:
    """A study as Hydra calls it, in this process or in one that a launcher started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.__module__ = folder.name  # by which Hydra names the job

    def read(self, config: DictConfig) -> Inputs:
        """Check a config, before a directory is made."""
        return Study(self.folder).read(config)

    def __call__(self, config: DictConfig) -> None:
        """Run the study, write what came out, and show its tables."""
        from hydra.core.hydra_config import HydraConfig

        from sim.cli.console import progress_bar, show_heading
        from sim.cli.tables import show_tables

        study = Study(self.folder)
        inputs = study.read(config, scenario_name=scenario_choice(HydraConfig.get()))
        show_heading()
        story = "" if inputs.specs is None else f": {inputs.specs.scenario.name}"
        with progress_bar(f"{study.name}{story}") as progress:
            module = study.module
            results = inputs.give(module.run, progress=progress)
        tables = inputs.give(module.tables, results)
        show_tables(tables, getattr(module, "SHOWN", None))
        write_results(Path(HydraConfig.get().runtime.output_dir), study, inputs, results, tables)


def main(file: str) -> None:
    """Run, from the command line, the study in whose folder a file stands.

    Args:
        file: `__file__` of the study's `__main__.py`.
    """
    from sim.cli.application import launch
    from sim.cli.help import config_help

    study = Study(Path(file).resolve().parent)
    study.add_to_path()
    task, config = StudyTask(study.folder), study.folder / "config.yaml"
    launch(
        task,
        config=config,
        check=task.read,
        keys=study.keys,
        help_text=lambda: config_help(config, study.name),
    )


def write_results(
    directory: Path,
    study: Study,
    inputs: Inputs,
    results: object,
    tables: Mapping[str, pd.DataFrame],
) -> None:
    """Write all that came out of a study, and say last where it is.

    The numbers come first, so that nothing that is wrong with a figure or with the template of the
    report takes them away.

    Args:
        directory: Where to.
        study: The study.
        inputs: What its config said.
        results: What `run` returned.
        tables: What `tables` made of it, each for a file of its own.
    """
    from sim.cli.console import out
    from sim.cli.outputs import records, write_figure, write_frame, write_json, write_report

    module = study.module
    rows = {name: records(table) for name, table in tables.items()}
    summarise = getattr(module, "summary", None)
    summary = rows if summarise is None else inputs.give(summarise, results)
    for name, table in tables.items():
        write_frame(directory / f"{name}.csv", table)
    write_json(directory / "summary.json", summary)
    write_json(directory / "provenance.json", inputs.describe())
    outputs = ["numbers"]
    if hasattr(module, "write"):
        inputs.give(module.write, results, directory)
    if study.figures is not None:
        for name, figure in inputs.give(study.figures, results).items():
            write_figure(directory / name, figure)
        outputs.append("figures")
    if (study.folder / REPORT).exists() and write_report(
        directory,
        study.folder / REPORT,
        specs=inputs.specs,
        settings=inputs.settings,
        tables=rows,
        summary=summary,
        **inputs.optional,
    ):
        outputs.append("report")
    out.print(f"{join_words(outputs)}: {directory}", soft_wrap=True, highlight=False)


def _is_same(place: str, folder: Path) -> bool:
    return Path(place or ".").resolve() == folder
