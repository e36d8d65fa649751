"""Values that people write: of two writes to one value the later one wins, whichever arrives first (contract 3.2)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar
from uuid import UUID

T = TypeVar("T")


class Stamp(NamedTuple):
    """When and by which command something was written. Two equal times are told apart by the command."""

    at: datetime
    by: UUID

    def beats(self, other: "Stamp | None") -> bool:
        return other is None or self > other


@dataclass(frozen=True, slots=True)
class Register(Generic[T]):
    """One value with the write that gave it; `written` None: nobody has written it yet."""

    value: T
    written: Stamp | None = None

    def write(self, value: T, stamp: Stamp) -> "Register[T]":
        # Writing the same value again moves the stamp: it must hold against an older write that is still under way.
        return Register(value, stamp) if stamp.beats(self.written) else self


@dataclass(frozen=True, slots=True)
class Flag:
    """A protection that people switch; `since` is when it was switched on, kept while it stays on."""

    on: bool = False
    since: datetime | None = None
    written: Stamp | None = None

    def switch(self, *, on: bool, stamp: Stamp) -> "Flag":
        if not stamp.beats(self.written):
            return self
        return Flag(on, (self.since or stamp.at) if on else None, stamp)
