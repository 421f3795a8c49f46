"""The wheel: built from this checkout and installed elsewhere, it has all that a user needs."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import sim

ROOT = Path(__file__).parent.parent
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-cache-dir", "--quiet"]

USE = """
import sys
from pathlib import Path
import sim
from sim.specs.library import config_root

target = Path(sys.argv[1])
assert Path(sim.__file__).is_relative_to(target), sim.__file__
assert config_root().is_relative_to(target), config_root()
for name in sim.scenarios():
    assert sim.Scenario.load(name).name == name
result = sim.simulate("copyright", training={"steps": 5}, record_every=5)
assert result.data.sizes["step"] == 2
assert sim.Result.load(result.save("result.nc")).data.identical(result.data)
print(*sim.scenarios())
from sim.cli.main import find_studies
assert all(path.is_relative_to(target) for path in find_studies().values())
"""


def quietly(*command: str, folder: Path, **variables: str) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = ["wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", "."]
    quietly(*PIP, *build, str(ROOT), folder=folder)
    (built,) = folder.glob("*.whl")
    return built


def carried() -> list[Path]:
    """Return the files of the studies that pyproject.toml puts into the wheel."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    roots = [ROOT / source for source in included if source.startswith("experiments/")]
    files = [path for root in roots for path in ([root] if root.is_file() else root.rglob("*"))]
    return [path for path in files if path.is_file() and path.suffix != ".pyc"]


def test_the_wheel_has_the_package_and_the_configs_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    code = {
        path.relative_to(ROOT).as_posix()
        for package in ("sim", "hydra_plugins")
        for path in (ROOT / package).rglob("*")
        if path.suffix in (".py", ".pyi", ".yaml")
    }
    studies = {f"sim/{path.relative_to(ROOT).as_posix()}" for path in carried()}
    configs = {f"sim/{p.relative_to(ROOT).as_posix()}" for p in (ROOT / "configs").rglob("*.yaml")}
    assert len(code) > 20
    assert len(configs) > 12
    assert held - {"sim/py.typed"} == code | configs | studies


def test_the_wheel_tells_type_checkers_that_it_has_types(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        assert "sim/py.typed" in archive.namelist()


@pytest.mark.slow
def test_the_wheel_works_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "installed"
    install = ["install", "--no-deps", "--no-index", "--no-compile", "--target", str(target)]
    quietly(*PIP, *install, str(wheel), folder=tmp_path)
    out = quietly(sys.executable, "-c", USE, str(target), folder=tmp_path, PYTHONPATH=str(target))
    assert out.split() == sim.scenarios()


def test_the_wheel_says_its_licence_python_and_needs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = archive.read(name).decode()
        licences = [name for name in archive.namelist() if name.endswith("/LICENSE")]
    assert "License-Expression: MIT" in metadata
    assert "Requires-Python: >=3.11" in metadata
    assert len(licences) == 1
    for need in ("hydra-core", "mesa", "numpy", "pydantic", "xarray"):
        assert f"Requires-Dist: {need}" in metadata
