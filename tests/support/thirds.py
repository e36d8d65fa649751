"""Runs a third of slow suites: tests of `tests/faults`, those of `tests/acceptance` on real Kafka, and those of some
slow files one by one; tests of the folders of `_BY_FILE` by file, for what a file shares takes long to bring up. A
plugin of pytest.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

_TESTS: Final = Path(__file__).resolve().parents[1]
_FAULTS: Final = _TESTS / "faults"
_ACCEPTANCE: Final = _TESTS / "acceptance"
_SLOW_FILES: Final = frozenset(
    {
        _ACCEPTANCE / "test_connector_verify.py",
        _TESTS / "schemas" / "test_published_agree.py",
        _TESTS / "simulation" / "test_planted_bugs.py",
    }
)
_BY_FILE: Final = tuple(_TESTS / name for name in ("cli", "connectors", "console", "kafka", "operations"))
_CHOICE: Final = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--third",
        type=int,
        metavar="SEED",
        help="run every third of the slow tests, beginning where SEED says (0: as the day of the year says, so that "
        "three days in a row run all of them)",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    seed = config.getoption("--third")
    if seed is None:
        return
    seed = seed or datetime.now(UTC).timetuple().tm_yday
    tests = [item for item in items if _is_slow(item)]
    left_out = {item for number, item in enumerate(tests) if (number + seed) % 3}
    files = sorted({item.path for item in items if any(item.path.is_relative_to(folder) for folder in _BY_FILE)})
    thirds = len(files) >= 3  # pytest fails if nothing is left
    closed = {path for number, path in enumerate(files) if thirds and (number + seed) % 3}
    kept = [item for item in items if item not in left_out and item.path not in closed]
    config.stash[_CHOICE] = f"slow tests: {len(kept)} of {len(items)}, --third {seed}"
    items[:] = kept


def _is_slow(item: pytest.Item) -> bool:
    if item.path in _SLOW_FILES:
        return True
    if item.path.is_relative_to(_ACCEPTANCE):
        return item.get_closest_marker("kafka") is not None
    return item.path.is_relative_to(_FAULTS)


def pytest_report_collectionfinish(config: pytest.Config) -> str:
    return config.stash.get(_CHOICE, "")
