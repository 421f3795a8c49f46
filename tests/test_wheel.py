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
from sim.cli.main import find_studies
from sim.specs.library import config_root

target = Path(sys.argv[1])
assert all(map(target.__eq__, (Path(sim.__file__).parents[1], config_root().parents[1])))
assert all(path.is_relative_to(target) for path in find_studies().values())
for name in sim.scenarios():
    assert sim.Scenario.load(name).name == name
result = sim.simulate("copyright", training={"steps": 5}, record_every=5)
assert sim.Result.load(result.save("result.nc")).data.identical(result.data)
print(*sim.scenarios())
"""


def run(*command: str, folder: Path, **variables: str) -> str:
    environment = {**os.environ, **variables}
    process = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = ["wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", "."]
    run(*PIP, *build, str(ROOT), folder=folder)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_has_the_package_its_studies_and_configs_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        description = archive.read(metadata).decode()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    expected = {"sim/py.typed"}
    for source, target in {**included, "sim": "sim", "hydra_plugins": "hydra_plugins"}.items():
        for path in [ROOT / source, *(ROOT / source).rglob("*")]:
            if path.suffix in (".py", ".pyi", ".yaml", ".j2"):
                name = path.relative_to(ROOT / source).as_posix()
                expected.add(f"{target}/{name}".removesuffix("/."))
    assert {name for name in names if ".dist-info/" not in name} == expected
    assert len(expected) > 100
    assert sum(name.endswith("/LICENSE") for name in names) == 1
    for line in ("License-Expression: MIT", "Requires-Python: >=3.11", "Requires-Dist: hydra-core"):
        assert line in description


@pytest.mark.slow
def test_the_wheel_works_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "installed"
    install = ["install", "--no-deps", "--no-index", "--no-compile", "--target", str(target)]
    run(*PIP, *install, str(wheel), folder=tmp_path)
    out = run(sys.executable, "-c", USE, str(target), folder=tmp_path, PYTHONPATH=str(target))
    assert out.split() == sim.scenarios()
