"""Messages, accepted and dropped."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg
from msgspec import Struct, structs

from workers.errors import RetryBatch
from workers.rules.blocks import BlockChange, Interval
from workers.rules.contact import ContactKey
from workers.store import inbox
from workers.store.arrays import columns, literal
from workers.store.connection import Connection, changed_rows
from workers.store.contacts import Said
from workers.store.queries import load
from workers.store.sends import AddressOwner

_SQL = load("messages")

MessageKey = tuple[str, UUID]
Span = tuple[datetime, datetime | None]
"""Event times [from, to); None: without end."""

NAMING: Final = 1_000
"""Number of messages to search for one with the name of its sender."""

OPENING: Final = 200
"""Number of messages to search for one that opens the conversation."""

_CONTENT_BYTES: Final = 32 * 1024 * 1024
"""Maximum content that is read at once to be judged again."""


class MessageRow(Struct, frozen=True, gc=False):
    """A new message. `drop_reason` None: accepted. `body` is JSON text, None if the content is not kept.

    `generation` is what `look_up` returned in the same transaction. The time of the decision is the transaction's.
    `recorded_at` is the watermark of the record.
    """

    generation: int
    workspace_id: str
    message_id: UUID
    identity_id: int
    channel_id: str
    channel: str
    kind: str
    event_time: datetime
    drop_reason: str | None
    mac_rule: str | None
    block_start: datetime | None
    counted: bool
    content_digest: int
    body: str | None
    erase_at: datetime | None = None
    send_id: UUID | None = None
    recorded_at: datetime | None = None


class LookedUp(NamedTuple):
    """The open generation, and the content digests of messages that are already stored."""

    generation: int
    digests: dict[UUID, int]


class Echo(NamedTuple):
    """A stored echo that is not dropped."""

    identity_id: int
    event_time: datetime
    content_digest: int


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored message, read to be judged again; `address` is its identity's. `home_id`: whose blocks judge it."""

    generation: int
    workspace_id: str
    contact_id: UUID
    home_id: UUID
    address: str
    message_id: UUID
    channel_id: str
    channel: str
    kind: str
    event_time: datetime
    dropped: bool
    block_start: datetime | None
    released: bool
    counted: bool
    revision: int
    body: str | None
    recorded_at: datetime | None = None
    release_recorded_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Revised:
    """The new state of a message. If `revision` did not rise, only internal columns changed."""

    generation: int
    workspace_id: str
    message_id: UUID
    drop_reason: str | None
    mac_rule: str | None
    block_start: datetime | None
    counted: bool
    released: bool
    revision: int
    erase_at: datetime | None
    release_recorded_at: datetime | None = None


class DroppedSelection(NamedTuple):
    """Which dropped messages of a contact: by event time in [since, until), or by id."""

    contact: ContactKey
    since: datetime | None = None
    until: datetime | None = None
    message_ids: frozenset[UUID] = frozenset()


async def look_up(tx: Connection, ids: Sequence[UUID]) -> LookedUp:
    """Which of these messages are stored, and the generation for the others in this transaction."""
    [(generation, *_), *found] = await tx.fetch(_SQL["look_up"], ids)
    return LookedUp(generation, {message_id: digest for _, message_id, digest in found})


async def echoes(tx: Connection, ids: Iterable[UUID]) -> dict[UUID, Echo]:
    """Those of these messages that are echoes."""
    return {id_: Echo(*echo) for id_, *echo in await tx.fetch(_SQL["echoes"], list(ids))}


async def owners(tx: Connection, ids: Iterable[UUID]) -> dict[UUID, AddressOwner]:
    """The identities that these messages are of, with their present contacts."""
    return {id_: AddressOwner(*owner) for id_, *owner in await tx.fetch(_SQL["owners"], list(ids))}


async def remove(tx: Connection, ids: Collection[UUID]) -> None:
    """Removes the messages of sends that have another id now."""
    if ids:
        await tx.execute(_SQL["remove"], sorted(ids))


async def add(tx: Connection, rows: Sequence[MessageRow]) -> None:
    """Stores new messages of one generation, with COPY, because it takes a third of the time of an INSERT from arrays.

    Raises:
        RetryBatch: another transaction stored one of them meanwhile.
    """
    if not rows:
        return
    try:
        await tx.copy_records_to_table(
            "messages",
            schema_name="sluice_core",
            columns=MessageRow.__struct_fields__,
            records=map(structs.astuple, rows),
        )
    except asyncpg.UniqueViolationError as error:
        raise RetryBatch("a message of this batch was stored by another transaction") from error
    accepted: defaultdict[str, set[int]] = defaultdict(set)
    for row in rows:
        if row.drop_reason is None:
            accepted[row.workspace_id].add(row.identity_id)
    if accepted:
        await inbox.note(tx, rows[0].generation, accepted)


async def count_conflicts(tx: Connection, conflicts: Counter[MessageKey], now: datetime) -> None:
    """Counts how often an id came again with other content."""
    rows = [(*key, times) for key, times in conflicts.items()]
    if rows:
        await tx.execute(_SQL["count_conflicts"], *columns(rows, 3), now)


async def latest_of_sender(tx: Connection, wanted: Mapping[Said, datetime]) -> dict[Said, str | None]:
    """The value that the newest accepted message has, at the given time or later; None: no message has one.

    Leaves out contacts whose newest `NAMING` messages have no value and that may have more messages.
    """
    since = columns([(*said, at) for said, at in wanted.items()], 4)
    rows = await tx.fetch(_SQL["latest_of_sender"], *since, NAMING) if wanted else ()
    return {(workspace_id, contact_id, attribute): said for workspace_id, contact_id, attribute, said in rows}


async def opening_messages(
    tx: Connection, closed: Mapping[ContactKey, datetime | None]
) -> tuple[dict[ContactKey, datetime], set[ContactKey]]:
    """Event time of the newest accepted message after each contact's last closing, if there is one. Also the contacts
    for which the newest `OPENING` accepted messages do not tell and there may be more.
    """
    rows = await tx.fetch(_SQL["opening_messages"], *columns([(*k, at) for k, at in closed.items()], 3), OPENING)
    found = {(workspace_id, contact_id): at for workspace_id, contact_id, at in rows}
    return {key: at for key, at in found.items() if at is not None}, {key for key, at in found.items() if at is None}


async def stale(tx: Connection, spans: Mapping[ContactKey, Span], limit: int) -> tuple[list[Stored], bool]:
    """Stored messages of these times whose verdict used another history than the contact has now, oldest first within a
    contact; and whether these are all. Returns fewer than `limit` if they have much content, but at least one.
    """
    rows = await tx.fetch(_SQL["stale"], *_columns(spans), limit, _CONTENT_BYTES)
    return [_stored(row) for row in rows], not rows or len(rows) == rows[0]["found"] < limit


async def count_flips(tx: Connection, spans: Mapping[ContactKey, Span]) -> Counter[ContactKey]:
    """The number of messages of these times whose verdict changes with the contact's present history."""
    rows = await tx.fetch(_SQL["count_flips"], *_columns(spans))
    return Counter({(workspace_id, contact_id): flips for workspace_id, contact_id, flips in rows})


async def count_changed(
    tx: Connection, spans: Mapping[ContactKey, Span], changes: Mapping[ContactKey, BlockChange]
) -> dict[ContactKey, int]:
    """The number of messages of these times whose verdict differs before and after a change, whatever is stored yet."""
    rows = [(*key, *span, _ranges(changes[key].before), _ranges(changes[key].after)) for key, span in spans.items()]
    found = await tx.fetch(_SQL["count_changed"], *columns(rows, 6))
    return dict.fromkeys(spans, 0) | {(workspace_id, contact_id): flips for workspace_id, contact_id, flips in found}


def _ranges(intervals: Sequence[Interval]) -> str:
    """An array of ranges in PostgreSQL's notation."""
    ends = ((i.start.isoformat(), i.end.isoformat() if i.end is not None else "") for i in intervals)
    return literal([f"[{start},{end})" for start, end in ends])


def _columns(spans: Mapping[ContactKey, Span]) -> list[list[Any]]:
    return columns([(*key, *span) for key, span in sorted(spans.items())], 4)


async def revise(tx: Connection, revised: Sequence[Revised], now: datetime) -> None:
    """Saves new verdicts. Erases content if `erase_at` is not later than `now`."""
    rows = [astuple(r) for r in revised]
    if rows:
        await tx.execute(_SQL["revise"], *columns(rows, 11), now)


async def releasable(
    tx: Connection, wanted: Sequence[DroppedSelection], limit: int, work: int | None = None
) -> tuple[list[tuple[int, Stored]], bool]:
    """Dropped messages with content that are not released, or that the `work` of this number releases; and whether
    these are all. Each has the index in `wanted` it was found for, in that order, oldest first.

    Returns fewer than `limit` if they have much content, but at least one.
    """
    rows = await tx.fetch(_SQL["releasable"], *_dropped(wanted), work, limit, _CONTENT_BYTES)
    return [(row["position"], _stored(row)) for row in rows], not rows or len(rows) == rows[0]["found"] < limit


async def count_releasable(tx: Connection, wanted: Sequence[DroppedSelection]) -> Counter[int]:
    """The number of dropped messages with content that are not released, by index in `wanted`."""
    return Counter(dict(await tx.fetch(_SQL["count_releasable"], *_dropped(wanted))))


def _dropped(wanted: Sequence[DroppedSelection]) -> list[list[Any]]:
    spans = [(n, *d.contact, d.since, d.until) for n, d in enumerate(wanted) if d.since is not None]
    picked = [(n, *d.contact, message_id) for n, d in enumerate(wanted) for message_id in d.message_ids]
    return [*columns(spans, 5), *columns(picked, 4)]


async def erase(tx: Connection, now: datetime, limit: int) -> int:
    """Erases the content of dropped messages whose quarantine is over. Returns how many."""
    return changed_rows(await tx.execute(_SQL["erase"], now, limit))


def _stored(row: Mapping[str, object]) -> Stored:
    values = {name: row[name] for name in Stored.__dataclass_fields__ if name != "dropped"}
    return Stored(**values, dropped=row["drop_reason"] is not None)  # type: ignore[arg-type]
