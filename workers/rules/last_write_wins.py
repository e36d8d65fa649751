"""Last-write-wins values: of two writes to one value the later one wins, in any order of arrival (contract 3.2)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar
from uuid import UUID

T = TypeVar("T")


class WriteStamp(NamedTuple):
    """The time and the command of a write. The command decides between equal times."""

    at: datetime
    by: UUID

    def beats(self, other: "WriteStamp | None") -> bool:
        return other is None or self > other


@dataclass(frozen=True, slots=True)
class LastWrite(Generic[T]):
    """One value with the stamp of its write; `written` None: never written."""

    value: T
    written: WriteStamp | None = None

    def write(self, value: T, stamp: WriteStamp) -> "LastWrite[T]":
        # Writing the same value again moves the stamp: the value must win against an older write that arrives later.
        return LastWrite(value, stamp) if stamp.beats(self.written) else self


@dataclass(frozen=True, slots=True)
class Flag:
    """A protection as a last-write-wins value; `since` is when it was switched on, kept while it stays on."""

    on: bool = False
    since: datetime | None = None
    written: WriteStamp | None = None

    def switch(self, *, on: bool, stamp: WriteStamp) -> "Flag":
        if not stamp.beats(self.written):
            return self
        return Flag(on, (self.since or stamp.at) if on else None, stamp)
