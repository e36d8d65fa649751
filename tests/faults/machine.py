"""How much of the machine a scene had: what other programs take makes everything slower, and no bound can know it."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from asyncpg import Pool

_PROC: Final = Path("/proc")
_IDLE: Final = (3, 4)  # the columns idle and iowait
_COUNTED: Final = 8  # time as a guest is in the columns before


class Machine:
    """Measures from its making on; knows this process, all that it started, and the PostgreSQL server of `pool`."""

    def __init__(self, *roots: int) -> None:
        self._roots = roots
        self._began = self._now()

    @classmethod
    async def of(cls, pool: Pool) -> "Machine":
        """From now on."""
        backend: int = await pool.fetchval("SELECT pg_backend_pid()")
        return cls(os.getpid(), _processes()[backend][0])

    def slower(self) -> float:
        """By how much the scene may take longer than on a machine of its own: 1 if nobody else computed."""
        ours, busy, passed = (now - then for now, then in zip(self._now(), self._began, strict=True))
        others = max(0, busy - ours) / max(1, passed)
        return 1 / max(0.05, 1 - others)

    def _now(self) -> tuple[int, int, int]:
        """What ours computed, what all computed, and what they could have, in ticks since the machine's start."""
        ticks = [int(n) for n in (_PROC / "stat").read_text(encoding="ascii").splitlines()[0].split()[1:][:_COUNTED]]
        passed = sum(ticks)
        found = _processes()
        return (
            sum(found[pid][1] for pid in set(_families(self._roots, found))),
            passed - sum(ticks[column] for column in _IDLE),
            passed,
        )


def _processes() -> dict[int, tuple[int, int]]:
    """Process -> its parent, and the ticks that it and those of its children that ended have computed."""
    found = {}
    for folder in _PROC.iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                told = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
                found[int(folder.name)] = int(told[1]), sum(map(int, told[11:15]))
    return found


def _families(roots: tuple[int, ...], found: dict[int, tuple[int, int]]) -> Iterator[int]:
    """The roots and everything below them."""
    below = {pid for pid in roots if pid in found}
    while below:
        yield from below
        below = {pid for pid, (parent, _) in found.items() if parent in below}
