"""The yardstick of the engines: the whole model in C (kernel.c), compiled on the spot.

It does the exact estimator with all assumptions, for one stretch in which the world stays the same
and for numbers that all agents share. Starts and traits may differ, as everywhere.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from sim.dynamics.program import Program
from sim.dynamics.state import Array
from sim.specs.agent import TRAITS

SOURCE = Path(__file__).with_name("kernel.c")
COMPILERS = ("cc", "gcc", "clang")
#: Products and sums may be fused, and nothing is asked about NaN, -0 and traps; sums keep their
#: order. `-ffast-math` would be wrong (see two_to_the in kernel.c).
FLAGS = (
    *("-std=c11", "-O3", "-fopenmp-simd", "-ffp-contract=fast"),
    *("-fno-math-errno", "-fno-trapping-math", "-ffinite-math-only", "-fno-signed-zeros"),
)
#: For this machine, from the best on; a compiler that does not know one kind gets the next.
MACHINE_FLAGS = (("-march=native", "-mprefer-vector-width=512"), ("-march=native",), ())

_INTEGERS = ("agents", "steps", "values", "habits", "contexts", "others", "replicator")
_ARRAYS = (
    *("places", "features", "reward", "present", "weight", "info", "scratchpad", "cue"),
    *("monitor", "similarity", "traits", "transfer", "learning_rate", "origin", "theta"),
)
_WORLD = ("features", "reward", "weight", "info", "scratchpad", "cue", "monitor", "similarity")
_NUMBERS = ("motive_credit", "leak", "spread", "anchor", "visible_gaming_penalty")


class Run(ctypes.Structure):
    """`struct run` of kernel.c."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in _INTEGERS),
        *((name, ctypes.c_void_p) for name in _ARRAYS),
        *((name, ctypes.c_double) for name in _NUMBERS),
    )


@cache
def library() -> tuple[ctypes.CDLL | None, str]:
    """Compile kernel.c and load it.

    Returns:
        The library and the command that made it, or None and why there is none.
    """
    compiler = next(filter(None, map(shutil.which, COMPILERS)), None)
    if compiler is None:
        return None, f"no C compiler: none of {', '.join(COMPILERS)} is installed"
    error = ""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        library = Path(folder, "kernel.so")
        for machine_flags in MACHINE_FLAGS:
            flags = (*FLAGS, *machine_flags, "-shared", "-fPIC")
            command = [compiler, *flags, "-o", str(library), str(SOURCE)]
            process = subprocess.run(command, capture_output=True, text=True, check=False)
            if process.returncode == 0:
                return ctypes.CDLL(str(library)), " ".join([Path(compiler).name, *flags])
            error = process.stderr.strip()
    return None, f"{Path(compiler).name} failed: {error}"


def run(program: Program, steps: int) -> Array:
    """Train a program's agents for so many steps.

    Args:
        program: A run with numbers that all agents share.
        steps: How many, within the program's first segment (the last one has no end).

    Returns:
        θ [P, N].

    Raises:
        RuntimeError: The kernel cannot be compiled here.
        ValueError: The kernel does not serve such a program.
    """
    compiled, reason = library()
    if compiled is None:
        raise RuntimeError(reason)
    segment = program.segments[0]
    if len(program.segments) > 1 and steps > segment.stop:
        raise ValueError(f"steps: {steps}, but the world changes at step {segment.stop}")
    world, assumptions = segment.world.where_trained(), segment.assumptions
    if assumptions.estimator != "exact" or program.selection is not None:
        raise ValueError("the kernel has neither the sampled estimator nor selection")
    responses, contexts, values, _ = world.features.shape
    present = np.ones((responses, contexts, 1)) if world.absent is None else ~world.absent
    theta = program.theta.copy()
    arrays = {
        "places": world.places.astype(np.int64),
        "present": _shared(present),
        "traits": np.stack([getattr(program.traits, name) for name in TRAITS]),
        "transfer": _shared(assumptions.transfer),
        "learning_rate": _shared(assumptions.learning_rate),
        "origin": np.ascontiguousarray(program.origin),
        "theta": theta,
        **{name: _shared(getattr(world, name)) for name in _WORLD},
    }
    integers = {
        "agents": program.agents,
        "steps": steps,
        "values": values,
        "habits": len(program.layout.contexts),
        "contexts": contexts,
        "others": responses,
        "replicator": assumptions.update_rule == "replicator",
    }
    numbers = {name: _shared(getattr(assumptions, name)).item() for name in _NUMBERS}
    pointers = {name: array.ctypes.data for name, array in arrays.items()}
    if compiled.train(ctypes.byref(Run(**integers, **pointers, **numbers))) != 0:
        raise MemoryError("no memory for a block of agents")
    return theta


def _shared(array: Array) -> Array:
    """Return numbers that all agents share without the axis of agents.

    Raises:
        ValueError: Each agent has its own.
    """
    if array.shape[-1] != 1:
        raise ValueError("the kernel needs numbers that all agents share")
    return np.ascontiguousarray(array[..., 0], dtype=np.float64)
