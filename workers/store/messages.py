"""Messages, accepted and dropped."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg
from msgspec import Struct, structs

from workers.errors import RetryBatch
from workers.runtime.batch import Connection
from workers.store.arrays import columns
from workers.store.contacts import ContactKey
from workers.store.queries import load

_SQL = load("messages")

MessageKey = tuple[str, UUID]
Said = tuple[str, UUID, str]
"""Something that messages say of their sender: workspace, contact, and `name`, `language` or `avatar_url`."""


class MessageRow(Struct, frozen=True, gc=False):
    """A new message. `drop_reason` None: accepted. `body` is JSON text, None where the content is not kept.

    `generation` is what `look_up` told in the same transaction. The moment of the decision is the transaction's.
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


class LookedUp(NamedTuple):
    """The open generation, and the content digests of what is stored already."""

    generation: int
    digests: dict[UUID, int]


@dataclass(frozen=True, slots=True)
class Stored:
    """A message as it stands, read to be judged again; `address` is its identity's."""

    generation: int
    workspace_id: str
    contact_id: UUID
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


@dataclass(frozen=True, slots=True)
class Revised:
    """What a message becomes. A `revision` that did not rise means that only its bookkeeping changed."""

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


async def look_up(tx: Connection, ids: Sequence[UUID]) -> LookedUp:
    """Which of these messages are stored, and the generation to store the others into in this transaction."""
    [(generation, *_), *found] = await tx.fetch(_SQL["look_up"], ids)
    return LookedUp(generation, {message_id: digest for _, message_id, digest in found})


async def add(tx: Connection, rows: Sequence[MessageRow]) -> None:
    """Store new messages. COPY, because it takes a third of the time of an INSERT from arrays.

    Raises:
        RetryBatch: one of them was stored meanwhile by another transaction.
    """
    try:
        await tx.copy_records_to_table(
            "messages",
            schema_name="sluice_core",
            columns=MessageRow.__struct_fields__,
            records=map(structs.astuple, rows),
        )
    except asyncpg.UniqueViolationError as error:
        raise RetryBatch("a message of this batch was stored by another transaction") from error


async def count_conflicts(tx: Connection, conflicts: Counter[MessageKey], now: datetime) -> None:
    """Note how often an id came again with another content."""
    rows = [(*key, times) for key, times in conflicts.items()]
    if rows:
        await tx.execute(_SQL["count_conflicts"], *columns(rows, 3), now)


async def latest_of_sender(tx: Connection, wanted: Mapping[Said, datetime]) -> dict[Said, str]:
    """What the newest accepted message says of each; the value is when one that is stored did."""
    since = columns([(*said, at) for said, at in wanted.items()], 4)
    rows = await tx.fetch(_SQL["latest_of_sender"], *since) if wanted else ()
    return {(workspace_id, contact_id, attribute): said for workspace_id, contact_id, attribute, said in rows}


async def opening_messages(tx: Connection, closed: Mapping[ContactKey, datetime | None]) -> dict[ContactKey, datetime]:
    """Event time of the newest accepted message after each contact's last closing, where there is one."""
    rows = await tx.fetch(_SQL["opening_messages"], *columns([(*k, at) for k, at in closed.items()], 3))
    return {(workspace_id, contact_id): at for workspace_id, contact_id, at in rows}


async def stale(tx: Connection, since: Mapping[ContactKey, datetime], limit: int) -> list[Stored]:
    """Messages at or after `since` that were judged by another history than the contact has now, oldest first."""
    rows = await tx.fetch(_SQL["stale"], *columns([(*k, at) for k, at in since.items()], 3), limit)
    return [_stored(row) for row in rows]


async def count_flips(tx: Connection, since: Mapping[ContactKey, datetime]) -> Counter[ContactKey]:
    """How many messages at or after `since` the contact's history accepts and the table drops, or the other way."""
    rows = await tx.fetch(_SQL["count_flips"], *columns([(*k, at) for k, at in since.items()], 3))
    return Counter({(workspace_id, contact_id): flips for workspace_id, contact_id, flips in rows})


async def revise(tx: Connection, revised: Sequence[Revised], now: datetime) -> None:
    """Save new verdicts; content is erased where `erase_at` is not later than `now`."""
    rows = [astuple(r) for r in revised]
    if rows:
        await tx.execute(_SQL["revise"], *columns(rows, 10), now)


async def add_revisions_due(tx: Connection, keys: Mapping[ContactKey, UUID]) -> None:
    """Leave the rest of a large revision to upkeep; the value is the command that caused it."""
    await tx.execute(_SQL["add_revisions_due"], *columns([(*k, c) for k, c in keys.items()], 3))


async def revisions_due(tx: Connection, limit: int) -> list[tuple[ContactKey, UUID]]:
    """Contacts with messages still to be judged again, longest waiting first, with the command that caused it."""
    rows = await tx.fetch(_SQL["revisions_due"], limit)
    return [((workspace_id, contact_id), command_id) for workspace_id, contact_id, command_id in rows]


async def revision_done(tx: Connection, key: ContactKey) -> None:
    await tx.execute(_SQL["revision_done"], *key)


async def releasable(
    tx: Connection,
    spans: Sequence[tuple[int, str, UUID, datetime, datetime]],
    picked: Sequence[tuple[int, str, UUID, UUID]],
) -> list[tuple[int, Stored]]:
    """Dropped messages with content: by [from, to) of event time, or by id. Each comes with its request's number."""
    rows = await tx.fetch(_SQL["releasable"], *columns(spans, 5), *columns(picked, 4))
    return [(row["position"], _stored(row)) for row in rows]


async def erase(tx: Connection, now: datetime, limit: int) -> int:
    """Forget the content of dropped messages whose quarantine is over; how many."""
    return int((await tx.execute(_SQL["erase"], now, limit)).rsplit(" ", 1)[1])


def _stored(row: Mapping[str, object]) -> Stored:
    values = {name: row[name] for name in Stored.__dataclass_fields__ if name != "dropped"}
    return Stored(**values, dropped=row["drop_reason"] is not None)  # type: ignore[arg-type]
