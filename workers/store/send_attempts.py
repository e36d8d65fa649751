"""Attempts of sends, and parked receipts, which came before their send."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg
from msgspec import Struct
from msgspec.structs import astuple

from workers.errors import RetryBatch
from workers.rules.attempts import AttemptStatus, is_throttled
from workers.store.arrays import columns, texts_first
from workers.store.connection import Connection
from workers.store.queries import load
from workers.store.sends import SendKey, as_json

_SQL = load("send_attempts")

ProviderKey = tuple[str, str, str]
"""(workspace_id, channel_id, provider_message_id)"""


class Attempt(Struct, frozen=True, kw_only=True):
    """A row of `send_attempts`."""

    workspace_id: str
    send_id: UUID
    attempt: int
    channel_id: str
    status: AttemptStatus
    dispatched_at: datetime
    claimed_at: datetime | None = None
    status_at: datetime | None = None
    permanent: bool = False
    error_code: str | None = None
    provider_message_id: str | None = None
    ran_out_at: datetime | None = None
    error_message: str | None = None
    not_before: datetime | None = None

    @property
    def throttled(self) -> bool:
        """It does not count: the provider only told the sender to slow down."""
        return is_throttled(self.status, permanent=self.permanent, not_before=self.not_before)

    @property
    def by_clock(self) -> bool:
        """Its time ran out: no receipt gave it its status."""
        return self.ran_out_at is not None


class Parked(Struct, frozen=True, kw_only=True):
    """A row of `parked_receipts`: the record as it came, and the fields that are searched."""

    workspace_id: str
    topic: str
    partition: int
    offset: int
    send_id: UUID | None
    channel_id: str
    provider_message_id: str | None
    attempt: int | None
    key: bytes | None
    value: bytes
    headers: bytes | None
    record_at: datetime
    parked_at: datetime
    recorded_at: datetime | None = None


class EarlyReceiptPosition(NamedTuple):
    """The position of a parked receipt among all of them."""

    parked_at: datetime
    topic: str = ""
    partition: int = 0
    offset: int = 0
    workspace_id: str = ""


FIRST: Final = EarlyReceiptPosition(datetime.min.replace(tzinfo=UTC))
"""The position before all of them."""


LONGEST_MESSAGE: Final = 1_000
"""In characters, of what is kept of an error's message."""


async def of_sends(tx: Connection, keys: Collection[SendKey]) -> dict[SendKey, dict[int, Attempt]]:
    found: defaultdict[SendKey, dict[int, Attempt]] = defaultdict(dict)
    for row in await tx.fetch(_SQL["of_sends"], *columns(sorted(keys), 2)):
        found[row["workspace_id"], row["send_id"]][row["attempt"]] = Attempt(**dict(row))
    return dict(found)


async def by_provider_id(tx: Connection, ids: Collection[ProviderKey]) -> dict[ProviderKey, tuple[UUID, int]]:
    """(workspace_id, channel_id, provider_message_id) -> send and attempt; of erased sends by the hash of the id."""
    ordered = sorted(ids)
    either = [*ordered, *((*account, hidden(id_)) for *account, id_ in ordered)]
    rows = await tx.fetch(_SQL["by_provider_id"], *texts_first(either, 3, 3)) if ordered else []
    return {ordered[(position - 1) % len(ordered)]: (send_id, attempt) for position, send_id, attempt in rows}


def hidden(provider_message_id: str) -> str:
    """What is kept of a provider's id when its send is erased, because such an id may hold the number. It is also made
    of many random bytes, so that nobody finds the number by trying.
    """
    return f"sha256:{sha256(provider_message_id.encode()).hexdigest()}"


async def save(tx: Connection, attempts: Collection[Attempt]) -> None:
    """Inserts new attempts and updates known ones. Never overwrites `claimed_at`, which `sluice.claim_send` sets.

    Raises:
        RetryBatch: another transaction gave one of the providers' ids to another send meanwhile.
    """
    try:
        if attempts:
            await tx.execute(_SQL["save"], as_json(attempts))
    except asyncpg.UniqueViolationError as error:
        raise RetryBatch("another transaction gave a provider's id of this batch to another send") from error


async def park(tx: Connection, receipts: Collection[Parked]) -> None:
    if receipts:
        await tx.execute(
            _SQL["park"], *columns([astuple(receipt) for receipt in receipts], len(Parked.__struct_fields__))
        )


async def unpark(
    tx: Connection, keys: Collection[SendKey], provider_ids: Collection[ProviderKey], limit: int
) -> list[Parked]:
    """Deletes and returns the receipts that waited for attempts of these sends, or for these provider ids, oldest
    first.
    """
    wanted = columns(sorted(keys), 2), texts_first(sorted(provider_ids), 3, 3)
    return _parked(await tx.fetch(_SQL["unpark"], *wanted[0], *wanted[1], limit))


async def look_over(tx: Connection, after: EarlyReceiptPosition, limit: int) -> list[tuple[EarlyReceiptPosition, bool]]:
    """The next parked receipts, oldest first, and whether each one waits although its attempt exists."""
    rows = await tx.fetch(_SQL["read_parked"], *after[:4], limit)
    return [(EarlyReceiptPosition(*row[:5]), row["found"]) for row in rows]


async def take_parked(tx: Connection, places: Collection[EarlyReceiptPosition]) -> list[Parked]:
    """Deletes and returns these receipts, except those that another transaction has locked."""
    rows = [(p.workspace_id, p.topic, p.partition, p.offset) for p in places]
    return _parked(await tx.fetch(_SQL["take_parked"], *columns(rows, 4))) if rows else []


async def give_up_parked(tx: Connection, parked_before: datetime, limit: int) -> list[Parked]:
    """Deletes and returns receipts that have waited too long."""
    return _parked(await tx.fetch(_SQL["give_up_parked"], parked_before, limit))


async def detach_parked(tx: Connection) -> None:
    """For topics whose offsets start again: parked receipts keep everything except their offset."""
    await tx.execute(_SQL["detach_parked"])


def _parked(rows: Iterable[Mapping[str, Any]]) -> list[Parked]:
    return sorted((Parked(**dict(row)) for row in rows), key=lambda p: (p.record_at, p.topic, p.partition, p.offset))
