"""What a measurement costs: CPU of whole process trees, memory, WAL and disk. Linux only."""

import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

_TICK_S: Final = 1 / os.sysconf("SC_CLK_TCK")


class Usage(NamedTuple):
    """CPU in seconds, WAL and disk in bytes: readings that only grow, or what was used between two of them."""

    worker: float
    postgres: float
    kafka: float
    wal: int
    disk: int

    def since(self, before: "Usage") -> "Usage":
        """What was used from `before` on."""
        return Usage(
            self.worker - before.worker,
            self.postgres - before.postgres,
            self.kafka - before.kafka,
            self.wal - before.wal,
            self.disk - before.disk,
        )


class _Stat(NamedTuple):
    parent: int
    name: str
    ticks: int


def cpu_of(roots: Iterable[int]) -> list[float]:
    """CPU seconds, so far, of each process and everything below it, what has ended there included."""
    table = _processes()
    children = defaultdict(list)
    for pid, stat in table.items():
        children[stat.parent].append(pid)

    def ticks(root: int) -> int:
        return table[root].ticks + sum(map(ticks, children[root])) if root in table else 0

    return [ticks(root) * _TICK_S for root in roots]


def child_named(name: str) -> int:
    """The process id of this process's child with that name.

    Raises:
        LookupError: there is none.
    """
    found = [pid for pid, stat in _processes().items() if stat.parent == os.getpid() and stat.name == name]
    if not found:
        raise LookupError(f"no child process is called {name}")
    return found[0]


def peak_memory(pid: int) -> float:
    """The most memory a process had so far, in MB."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def _processes() -> dict[int, _Stat]:
    table = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                text = (folder / "stat").read_text(encoding="utf-8", errors="replace")
            except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
                continue
            head, _, rest = text.rpartition(")")
            fields = rest.split()
            # its own time, and that of children that have ended, in user and in system mode
            table[int(folder.name)] = _Stat(int(fields[1]), head.partition("(")[2], sum(map(int, fields[11:15])))
    return table
