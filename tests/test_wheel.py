"""Checks of the wheel that others install."""

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).parents[1]


def test_the_wheel_says_that_schemas_is_typed(tmp_path: Path) -> None:
    subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", tmp_path],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    [wheel] = tmp_path.glob("*.whl")

    assert "schemas/py.typed" in ZipFile(wheel).namelist()
