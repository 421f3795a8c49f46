"""What a user is told when something goes wrong: one line, and an exit status."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from sim.run import DivergenceError
from sim.spec.errors import SpecError, nearest
from sim.spec.library import config_root

BAD_INPUT = 2
FAILED = 1
INTERRUPTED = 130


class Refused(BaseException):
    """A config was refused before anything was run; carries the one line.

    Hydra turns exceptions of callbacks into warnings, so this is not an `Exception`.
    """


@contextmanager
def reporting_errors(config_name: str) -> Iterator[None]:
    """Turn every error that a user can mend into one line on stderr and an exit status."""
    try:
        yield
    except (SpecError, Refused) as error:
        _leave(str(error), BAD_INPUT)
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        _leave(explain(error, config_name), BAD_INPUT)
    except DivergenceError as error:
        _leave(str(error), FAILED)
    except OSError as error:
        _leave(f"{error.filename}: {error.strerror}", FAILED)
    except ValueError as error:  # how Hydra refuses scenario=null, and nothing else
        if "Config group override" not in str(error):
            raise
        _leave(
            "scenario=, agent= and training= take a name; leave one out for its default", BAD_INPUT
        )
    except BrokenPipeError:  # whoever read our output has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
    except KeyboardInterrupt:
        _leave("interrupted; no result was written", INTERRUPTED)


def explain(error: Exception, config_name: str) -> str:
    """Say in one line what Hydra found, with the nearest right word where there is one."""
    text = str(error)
    missing = re.search(r"Could not find '([^']+)/([^'/]+)'", text)
    if isinstance(error, MissingConfigException) and missing:
        group, name = missing.groups()
        options = re.findall(r"^\t(\S+)$", text, flags=re.MULTILINE)
        return f"{group}: no {group} is named {name!r}; {nearest(name, options)}"
    unknown = re.search(r"Could not override '([^']+)'", text)
    if unknown:
        return _explain_key(unknown.group(1), config_name)
    merged = re.search(r"Error merging override \W*([\w.]+)=", text)
    if merged:
        return f"{merged.group(1)}: {str(error.__cause__).splitlines()[0]}"
    return " ".join(f"{text} {error.__cause__ or ''}".split())


def _explain_key(key: str, config_name: str) -> str:
    node: object = _defaults(config_name)
    parts = key.split(".")
    for depth, part in enumerate(parts):
        where = ".".join(parts[:depth])
        if not isinstance(node, DictConfig):
            return f"{key}: {where} holds no keys to change; to add this one, write +{key}=..."
        if part not in node:
            words = [str(word) for word in node if word != "hydra"]
            return f"{where + '.' if where else ''}{part}: unknown key; {nearest(part, words)}"
        node = OmegaConf.select(node, part)
    return f"{key}: this config has no such key; to add it, write +{key}=..."


def _defaults(config_name: str) -> DictConfig:
    """The config without overrides: enough to say which keys there are."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(config_dir=str(config_root()), version_base="1.3"):
        return compose(config_name)


def _leave(line: str, status: int) -> None:
    print(f"error: {line}" if status != INTERRUPTED else line, file=sys.stderr)
    sys.exit(status)
