"""What a command says when something goes wrong: one line, and an exit status."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from hydra.errors import HydraException, MissingConfigException
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from sim.cli.keys import ALL_KEYS, EXECUTOR_KEYS, sweeper_settings
from sim.specs.errors import SpecError, nearest
from sim.utils.files import last_written, write_anywhere
from sim.utils.format import printable
from sim.utils.parallel import WorkersLostError

BAD_INPUT = 2
FAILED = 1
INTERRUPTED = 130


class Stopped(BaseException):
    """A command has to stop; carries the line that says why, and the exit status.

    Hydra turns exceptions of callbacks into warnings and adds lines of its own to those of tasks,
    so this is not an `Exception`.
    """

    def __init__(self, line: str, status: int) -> None:
        super().__init__(line)
        self.status = status


@contextmanager
def stopping() -> Iterator[None]:
    """Turn every error that a user can mend into `Stopped`."""
    before = last_written()
    try:
        yield
    except SpecError as error:
        raise Stopped(str(error), BAD_INPUT) from None
    except OmegaConfBaseException as error:
        raise Stopped(" ".join(str(error).split()), BAD_INPUT) from None
    except (BrokenPipeError, HydraException):
        raise
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        line = f"{place}{error.strerror or error}; {_results_left(before)}"
        raise Stopped(line, FAILED) from None
    except RuntimeError as error:
        from sim.simulation import DivergenceError  # with all that runs need, which --help does not

        if not isinstance(error, DivergenceError | WorkersLostError):
            raise
        raise Stopped(str(error), FAILED) from None


@contextmanager
def reporting(keys: Sequence[str] = ALL_KEYS) -> Iterator[None]:
    """Say in one line on stderr why a command had to stop, and leave with its exit status.

    `keys` are those of the command, for a hint.
    """
    write_anywhere()
    before = last_written()
    try:
        with stopping():
            yield
    except Stopped as stop:
        _leave(str(stop), stop.status)
    except (HydraException, YAMLError) as error:
        _leave(explain(error, keys), BAD_INPUT)
    except ValueError as error:  # how Hydra refuses scenario=null, and nothing else
        if "Config group override" not in str(error):
            raise
        _leave(
            "scenario=, agent=, training= and executor= take a name; leave one out for its default",
            BAD_INPUT,
        )
    except BrokenPipeError:  # whoever read our output has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
    except KeyboardInterrupt:
        _leave(f"interrupted; {_results_left(before)}", INTERRUPTED)


def explain(error: Exception, keys: Sequence[str] = ALL_KEYS) -> str:
    """Say in one line what Hydra found, with the nearest right word where there is one."""
    text = str(error)
    missing = re.search(r"Could not find '([^']+)/([^'/]*)'", text)
    if isinstance(error, MissingConfigException) and missing:
        group, name = missing.groups()
        if name.endswith((".yaml", ".yml")):
            group, _, folder = group.partition("/")
            return (
                f"{group}: got {f'{folder}/{name}'.lstrip('/')!r}: must be a name; a file "
                f"DIR/{group}/NAME.yaml is given as --config-dir DIR {group}=NAME"
            )
        if group.startswith("scenario/"):  # PRIOR/NUMBER, and there is no such prior
            group, name = "scenario", f"{group.partition('/')[2]}/{name}"
        options = re.findall(r"^\t(\S+)$", text, flags=re.MULTILINE)
        options += ["PRIOR/NUMBER"] if group == "scenario" else []
        return f"{group}: no {group} is named {name!r}; {nearest(name, options)}"
    unknown = re.search(r"Could not override '([^']+)'", text)
    if unknown:
        return _unknown(unknown.group(1), keys)
    deleted = re.search(r"Could not delete from config\. '([^']+)'", text)
    if deleted:
        return f"{deleted.group(1)}: cannot be deleted: is null already, or no key at all"
    unread = re.search(r"LexerNoViableAltException: (.*)", text)
    setting = unread or re.match(r"Error parsing override '([^'\n]*)'", text)
    if setting and not set("=~") & set(setting[1]):
        return f"{setting[1]!r} has no value; settings are KEY=VALUE, such as scenario=copyright"
    if unread:
        given, key = unread[1].strip(), unread[1].partition("=")[0].strip()
        return f"{key}: got {given!r}: must be text in quotes of its own: '{key}=\"...\"'"
    merged = re.search(r"Error merging override \W*([\w.]+)=", text)
    if merged:
        return f"{merged.group(1)}: {str(error.__cause__).splitlines()[0]}"
    return " ".join(f"{text} {error.__cause__ or ''}".split())


def _unknown(key: str, keys: Sequence[str]) -> str:
    """Say that nothing can be set by a key, with the nearest that can."""
    first, (place, _, last) = key.split(".")[0], key.rpartition(".")
    if first not in (*keys, "hydra"):
        from sim.specs.keys import full_keys  # with all specs, which --help does not need

        for longer in full_keys(key):
            if longer.split(".")[0] in keys:
                return f"{key}: unknown key; did you mean {longer!r}?"
        return f"{first}: unknown key; {nearest(first, keys)}"
    settings = {"executor": chain(*EXECUTOR_KEYS.values()), "hydra.sweeper": sweeper_settings()}
    if place in settings:
        return f"{key}: unknown key; {nearest(last, settings[place])}"
    return f"{key}: unknown key; --cfg all shows those that there are"


def _results_left(before: Path | None) -> str:
    """Say what was written last since a file that was there before, when a command has to stop."""
    last = last_written()
    return "no result was written" if last is before else f"written last: {last}"


def _leave(line: str, status: int) -> None:
    line = printable(line)
    print(line if status == INTERRUPTED else f"error: {line}", file=sys.stderr)
    sys.exit(status)
