"""When a billing cycle closes, and which facts its closed figure has (contract 5.6, and section 10).

The clock is Kafka's: a fact's time is the watermark of its record, the highest Kafka timestamp up to it in its
partition. So the figure does not depend on when workers reached a record.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, NamedTuple
from uuid import UUID

EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""What holds from the beginning holds from this time on: nothing is older, not even by Kafka's timestamps."""

DEFAULT_GRACE: Final = timedelta(hours=72)
LateCause = Literal["late_message", "late_block", "late_unblock", "released", "late_receipt", "merge", "undo_merge"]


class GraceChange(NamedTuple):
    """Another value of `close_grace_hours`. `recorded_at`: the watermark of the command's record. `cycles_from`: where
    the first cycle of the workspace began then; None: it had no cycle.
    """

    recorded_at: datetime
    issued_at: datetime
    command_id: UUID
    grace: timedelta
    cycles_from: datetime | None = EVER


def in_force(changes: Iterable[GraceChange]) -> list[GraceChange]:
    """Those that held at some time, in the order of Kafka: of two values the one issued later wins."""
    held: list[GraceChange] = []
    for change in sorted(changes, key=lambda c: (c.recorded_at, c.issued_at, c.command_id.bytes)):
        if not held or (change.issued_at, change.command_id.bytes) > (held[-1].issued_at, held[-1].command_id.bytes):
            held.append(change)
    return held


def closing_instant(cycle_end: datetime, changes: Sequence[GraceChange]) -> datetime:
    """The instant from which on a cycle is closed. A change holds for cycles whose instant, by the value before it, is
    after the change, and for those of before the workspace's first cycle, which did not exist. `changes` are in force,
    in the order of Kafka.
    """
    instant = cycle_end + DEFAULT_GRACE
    for change in changes:
        if instant > change.recorded_at or change.cycles_from is None or cycle_end <= change.cycles_from:
            instant = cycle_end + change.grace
    return instant


class Joining(NamedTuple):
    """A merge: the loser counts as the survivor."""

    survivor_id: UUID
    loser_id: UUID


class StoredJoining(NamedTuple):
    """A merge with its times: `issued_at` of merge and undo, and the watermarks of their records (None: on time)."""

    survivor_id: UUID
    loser_id: UUID
    merged_at: datetime
    recorded_at: datetime | None
    undone_at: datetime | None
    undo_recorded_at: datetime | None


def joinings(merges: Iterable[StoredJoining], closes_at: datetime, *, on_time: bool) -> list[Joining]:
    """The merges that count in a cycle: issued before it closes, and not undone before. `on_time`: only what came on
    time as well.
    """

    def counts(issued_at: datetime | None, recorded_at: datetime | None) -> bool:
        if issued_at is None or issued_at >= closes_at:
            return False
        return not on_time or recorded_at is None or recorded_at < closes_at

    return [
        Joining(m.survivor_id, m.loser_id)
        for m in merges
        if counts(m.merged_at, m.recorded_at) and not counts(m.undone_at, m.undo_recorded_at)
    ]


def groups(contacts: Iterable[UUID], joined: Iterable[Joining]) -> dict[UUID, list[UUID]]:
    """The contacts that count as one, by the one that stays; it is in its group. `joined` is in the order of the
    merges.
    """
    survivor: dict[UUID, UUID] = {}

    def present(contact: UUID) -> UUID:
        while contact in survivor:
            contact = survivor[contact]
        return contact

    everybody = set(contacts)
    for into, gone in joined:
        everybody |= {into, gone}
        ours, theirs = present(into), present(gone)
        if ours != theirs:
            survivor[theirs] = ours
    found: dict[UUID, list[UUID]] = {}
    for contact in sorted(everybody):
        found.setdefault(present(contact), []).append(contact)
    return found


def corrections(
    members: Sequence[UUID], stays: UUID, closed: set[UUID], adjusted: dict[UUID, int], *, active: bool
) -> dict[UUID, int]:
    """The adjustments to add so that the closed figure and all adjustments count a group as `active` or not, once.

    `members` count as one contact, `stays`. `closed`: those of them that the closed figure counts; `adjusted`: the sum
    of the adjustments so far. An active group keeps one contact that is counted, if there is one: `stays` before
    others. So nobody's adjustments sum to anything but -1, 0 or 1.
    """
    counted = [member for member in members if member in closed]
    kept = None if not active else stays if stays in closed or not counted else min(counted)
    wanted = {member: int(member == kept) - int(member in closed) for member in members}
    return {m: amount - adjusted.get(m, 0) for m, amount in wanted.items() if amount != adjusted.get(m, 0)}
