"""Receipts that came before their attempt was dispatched wait for it, for a day (contract 4.6)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import msgspec

from schemas.receipts import DeliveryReceipt
from workers.outbound.changes import Changes
from workers.outbound.receiving import Arrival, cause_of, receive
from workers.outbound.telling import NOTHING_CAME_IN, Origin, origin_of
from workers.runtime.batch import Connection, Output, RawRecord, Record, Source
from workers.runtime.ports import DeadLetter
from workers.store import attempts, dead_letters, headers
from workers.store.attempts import Parked, ProviderKey
from workers.store.sends import SendKey

PATIENCE: Final = timedelta(days=1)
LIMIT: Final = 500
NEVER_SENT: Final = "no attempt of a send to apply it to within a day"

_RECEIPT: Final = msgspec.json.Decoder(DeliveryReceipt)


async def apply_receipts(tx: Connection, records: Sequence[Record[DeliveryReceipt]], now: datetime) -> list[Output]:
    """Apply one poll of receipts; those that speak of nothing dispatched are parked."""
    arrivals = [_arrival(record) for record in records]
    received = await receive(tx, arrivals, now)
    early = {id(arrival) for arrival in received.early}
    waiting = [_parked(r, now) for r, arrival in zip(records, arrivals, strict=True) if id(arrival) in early]
    await attempts.park(tx, waiting)
    return received.outputs + await _unpark(tx, {}, received.learned, now)


async def wake(tx: Connection, changes: Changes) -> list[Output]:
    """Apply what waited for the attempts that `changes` dispatched."""
    return await _unpark(tx, changes.dispatched, {}, changes.now)


async def apply_overlooked(tx: Connection, now: datetime) -> list[Output]:
    """Apply up to 500 receipts that were parked while another transaction was dispatching their attempt."""
    parked = await attempts.unpark_overlooked(tx, LIMIT)
    return await _again(tx, [(p, NOTHING_CAME_IN) for p in parked], now)


async def give_up(tx: Connection, now: datetime) -> list[DeadLetter]:
    """Make dead letters of up to 500 receipts that have waited for a day; who calls it has to publish them."""
    parked = await attempts.give_up_parked(tx, now - PATIENCE, LIMIT)
    letters = [DeadLetter(Source(p.topic, p.partition), _Raw.of(p), NEVER_SENT) for p in parked]
    if letters:
        await dead_letters.record(tx, letters)
    return letters


@dataclass(frozen=True, slots=True)
class _Raw:
    """A parked receipt as the record it was. `timestamp` is in milliseconds since 1970."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes
    headers: headers.Headers

    @classmethod
    def of(cls, parked: Parked) -> "_Raw":
        timestamp = round(parked.record_at.timestamp() * 1000)
        return cls(parked.offset, timestamp, parked.key, parked.value, headers.unpack(parked.headers))


async def _unpark(
    tx: Connection, keys: Mapping[SendKey, Origin], learned: Mapping[ProviderKey, Origin], now: datetime
) -> list[Output]:
    if not keys and not learned:
        return []
    parked = await attempts.unpark(tx, keys.keys(), learned.keys())
    return await _again(tx, [(p, _waker(p, keys, learned)) for p in parked], now)


async def _again(tx: Connection, parked: Sequence[tuple[Parked, Origin]], now: datetime) -> list[Output]:
    if not parked:
        return []
    arrivals = [Arrival(_RECEIPT.decode(p.value), p.record_at, cause_of(origin)) for p, origin in parked]
    received = await receive(tx, arrivals, now)
    return received.outputs + await _unpark(tx, {}, received.learned, now)


def _waker(parked: Parked, keys: Mapping[SendKey, Origin], learned: Mapping[ProviderKey, Origin]) -> Origin:
    """What a waiting receipt was waiting for: its facts are owed by that, for its own partition has moved on."""
    if parked.send_id is not None:
        return keys[parked.workspace_id, parked.send_id]
    return learned[parked.workspace_id, parked.channel_id, parked.provider_message_id or ""]


def _arrival(record: Record[DeliveryReceipt]) -> Arrival:
    return Arrival(record.value, record.timestamp, cause_of(origin_of(record)))


def _parked(record: Record[DeliveryReceipt], now: datetime) -> Parked:
    receipt, raw = record.value, _as_it_came(record)
    return Parked(
        workspace_id=receipt.workspace_id,
        topic=record.source.topic,
        partition=record.source.partition,
        offset=record.offset,
        send_id=receipt.send_id,
        channel_id=receipt.channel_id,
        provider_message_id=receipt.provider_message_id,
        attempt=receipt.attempt,
        key=raw.key,
        value=raw.value or b"",
        headers=headers.pack(raw.headers),
        record_at=record.timestamp,
        parked_at=now,
    )


def _as_it_came(record: Record[DeliveryReceipt]) -> RawRecord:
    if record.raw is None:
        raise ValueError("only a receipt that came on a topic can wait")
    return record.raw
