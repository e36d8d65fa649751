"""What protects a contact from unsolicited sends, and what a confirmation covers (contract 4.2, 4.4)."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

UNKNOWN: Final = "protection_unknown"


@dataclass(frozen=True, slots=True)
class Ground:
    """One reason to hold. `code` is shown, `key` distinguishes one status or company from another.

    `since` is when it began for this contact; None if unknown, so that no confirmation can precede it.
    """

    code: str
    key: str
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Cover:
    """What was confirmed: these keys, and every ground that began before `before` (an answer that came with the
    request).
    """

    keys: frozenset[str] = frozenset()
    before: datetime | None = None


def uncovered(grounds: Iterable[Ground], cover: Cover) -> tuple[Ground, ...]:
    """The grounds without a confirmation, one per key, sorted by key."""
    return _by_key(g for g in grounds if not _covers(cover, g))


def covered(grounds: Iterable[Ground], cover: Cover) -> tuple[Ground, ...]:
    """The grounds with a confirmation, one per key, sorted by key."""
    return _by_key(g for g in grounds if _covers(cover, g))


def codes(grounds: Iterable[Ground]) -> tuple[str, ...]:
    """The reasons that a hold shows: codes, sorted, each once."""
    return tuple(sorted({g.code for g in grounds}))


def keys(grounds: Iterable[Ground]) -> tuple[str, ...]:
    """The keys that a confirmation of the hold will cover, sorted, each once."""
    return tuple(sorted({g.key for g in grounds}))


def with_confirmed(cover: Cover, shown: Collection[str]) -> Cover:
    """The cover after a user has confirmed the shown reasons."""
    return Cover(cover.keys | frozenset(shown), cover.before)


def _by_key(grounds: Iterable[Ground]) -> tuple[Ground, ...]:
    return tuple({g.key: g for g in sorted(grounds, key=lambda g: g.key)}.values())


def _covers(cover: Cover, ground: Ground) -> bool:
    if ground.key in cover.keys:
        return True
    return cover.before is not None and ground.since is not None and ground.since < cover.before
