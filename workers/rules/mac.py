"""Whether a message makes its contact active (contract 5.2, 5.3)."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from workers.rules.cycles import Cycle, CycleSettings


def is_counted(
    *,
    cycle: Cycle,
    settings: CycleSettings,
    kind: str,
    channel_id: str,
    dropped: bool,
    block_start: datetime | None,
) -> bool:
    """Whether a message counts. `block_start`: start of the block interval that contains the event time, if there is
    one.

    `kind` is `message`, `reaction`, `echo`, `send` or `broadcast`. A dropped message still counts in the cycle that
    contains the start of its block, or starts at it, unless the workspace excludes at once.
    """
    if channel_id in settings.uncounted_channels:
        return False
    if kind == "reaction" and not settings.count_reactions:
        return False
    if kind == "broadcast" and not settings.count_broadcasts:
        return False
    if kind == "echo":
        return block_start is None
    if dropped and block_start is not None:
        return settings.mac_block_effect == "next_cycle" and cycle.start <= block_start
    return True


class Evidence(NamedTuple):
    """A counted message that may prove that its contact was active; the smallest one is the proof."""

    at: datetime
    message_id: UUID


def proof_now(stored: Evidence | None, found: Evidence | None, *, seen: bool) -> Evidence | None:
    """The proof of a contact in a cycle after some of its messages were judged again. `found` is the earliest counted
    one of those; the stored proof is dropped if its message was among those `seen`.
    """
    standing = None if seen else stored
    if standing is None or found is None:
        return found or standing
    return min(standing, found)


def counted_already(counted_at: datetime | None, cycle: Cycle, at: datetime) -> bool:
    """Whether a message of that time is needless as a proof, because `counted_at` says that the contact is counted in
    the cycle.
    """
    return counted_at is not None and cycle.start <= counted_at < cycle.end and counted_at < at


def counted_since(counted_at: datetime | None, cycle: Cycle, at: datetime) -> datetime:
    """The new `counted_at` after a message of that time counts: the earliest of the newest cycle."""
    if counted_at is None or counted_at < cycle.start:
        return at
    return min(counted_at, at) if counted_at < cycle.end else counted_at
