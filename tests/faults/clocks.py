"""Clocks that jump by hours and days, several times a second, inside a worker process.

FAULT_CLOCK=wall: what Python calls the time. FAULT_CLOCK=database: what the database says it is, as batches are told.
"""

import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from itertools import cycle
from pathlib import Path
from typing import Any, Final

from workers.records import Advance

_HOUR_S: Final = 3_600.0
JUMPS_S: Final = (0.0, 3 * _HOUR_S, -5 * _HOUR_S, 48 * _HOUR_S, 0.5, -200 * _HOUR_S, 400 * _HOUR_S)
_EVERY_S: Final = 0.4
_LIBRARIES: Final = "/usr/lib*/*/faketime/libfaketimeMT.so.1"


def bend(told: str | None) -> None:
    """From now on the clock jumps that the process was told of, if any."""
    if told == "wall":
        _bend_wall()
    elif told == "database":
        _bend_database()


def _bend_wall() -> None:
    true, true_ns = time.time, time.time_ns

    def jump() -> float:
        return JUMPS_S[int(time.monotonic() / _EVERY_S) % len(JUMPS_S)]

    time.time = lambda: true() + jump()
    time.time_ns = lambda: true_ns() + int(jump() * 1e9)


def _bend_database() -> None:
    from workers.store import progress

    advance: Callable[..., Awaitable[Advance]] = progress.advance
    # Not by days: what is held for a day must not expire in the moment it is held.
    jumps = cycle(jump for jump in JUMPS_S if abs(jump) < 12 * _HOUR_S)

    async def bent(*arguments: Any) -> Advance:
        true = await advance(*arguments)
        return true._replace(now=true.now + timedelta(seconds=next(jumps)))

    progress.advance = bent  # type: ignore[assignment]


def libfaketime() -> Path | None:
    """The library that bends every clock of a process but the monotonic one, where it is installed."""
    return next(iter(sorted(Path("/").glob(_LIBRARIES.removeprefix("/")))), None)


def preloaded(library: Path, told: Path) -> dict[str, str]:
    """The environment of a process whose clock goes by the file `told` (`+3d`, `-5h`)."""
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(told),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
