"""Checks of the wheel that others install."""

import subprocess
import sys
import sysconfig
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[1]
IMPORT_ALL = """
import connectors, importlib, pkgutil, schemas, workers
for package in connectors, schemas, workers:
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
print(workers.__file__)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    [built] = folder.glob("*.whl")
    return built


def test_the_wheel_says_that_schemas_is_typed(wheel: Path) -> None:
    assert "schemas/py.typed" in ZipFile(wheel).namelist()


def test_every_module_can_be_imported_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    ZipFile(wheel).extractall(tmp_path)  # our own file
    paths = f"{tmp_path}:{sysconfig.get_path('purelib')}"
    # -S: without the .pth file that makes the checkout importable.
    ended = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-S", "-P", "-c", IMPORT_ALL],
        check=False,
        cwd=tmp_path,
        env={"PYTHONPATH": paths},
        capture_output=True,
    )
    assert ended.returncode == 0, ended.stderr.decode()
    assert ended.stdout.decode().startswith(str(tmp_path))
