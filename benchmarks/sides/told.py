"""What a measured process is told, and what it tells. Standard library only: one peer has its own environment."""

import sys
from collections.abc import Callable
from functools import cache
from typing import NamedTuple


class Told(NamedTuple):
    """The process's arguments. `prefix` stands before every topic's name; `more` is the side's own."""

    bootstrap: str
    database: str
    prefix: str
    group: str
    more: tuple[str, ...]

    @property
    def source(self) -> str:
        return f"{self.prefix}messages.inbound"

    @property
    def accepted(self) -> str:
        return f"{self.prefix}messages.accepted"

    @property
    def dropped(self) -> str:
        return f"{self.prefix}messages.dropped"

    @property
    def lanes(self) -> int:
        """How many messages at once, for sides that are told so."""
        return int(self.more[0])


def told() -> Told:
    """The arguments of this process: BOOTSTRAP DATABASE PREFIX GROUP and the side's own."""
    bootstrap, database, prefix, group, *more = sys.argv[1:]
    return Told(bootstrap, database, prefix, group, tuple(more))


def consuming() -> None:
    """Says that partitions are ours and reading begins: from here on time and CPU are counted."""
    print("consuming", flush=True)


def once(say: Callable[[], None]) -> Callable[[], None]:
    """Says it when called for the first time: for libraries that do not tell when partitions are theirs."""
    return cache(say)
