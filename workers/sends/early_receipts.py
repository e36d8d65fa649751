"""Parks receipts that come before their attempt is dispatched, for a day (contract 4.6)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import msgspec

from schemas.receipts import DeliveryReceipt
from workers.records import DeadLetter, Event, Output, Partition, RawRecord, Record
from workers.sends.arrivals import ReceiptArrival
from workers.sends.events import NO_INPUT, Origin, origin_of_record
from workers.sends.receipts import cause_of, receive
from workers.sends.transitions import SendTransitions
from workers.services.job_runner import Unfinished
from workers.store import dead_letters, headers, send_attempts
from workers.store.connection import Connection
from workers.store.send_attempts import Parked, ProviderKey
from workers.store.sends import SendKey

PATIENCE: Final = timedelta(days=1)
RECEIPTS_AT_ONCE: Final = 500  # parked receipts that one transaction applies
LOOKED_AT: Final = 10_000
NEVER_SENT: Final = "no attempt of a send to apply it to within a day"

_RECEIPT: Final = msgspec.json.Decoder(DeliveryReceipt)


async def apply_receipts(tx: Connection, records: Sequence[Record[DeliveryReceipt]], now: datetime) -> list[Output]:
    """Applies one poll of receipts. Parks those without a dispatched attempt."""
    arrivals = [_arrival(record) for record in records]
    received = await receive(tx, arrivals, now)
    early = {id(arrival) for arrival in received.early}
    waiting = [_parked(r, now) for r, arrival in zip(records, arrivals, strict=True) if id(arrival) in early]
    await send_attempts.park(tx, waiting)
    return received.outputs + await _unpark(tx, {}, received.learned, now)


async def wake(tx: Connection, changes: SendTransitions) -> list[Output]:
    """Applies the parked receipts of attempts that `changes` dispatched."""
    return await _unpark(tx, changes.dispatched, {}, changes.now)


class Overlooked:
    """A job that applies parked receipts whose attempt exists: another transaction dispatched it while they were
    parked, or too many waited for it.

    Each run checks some, from the last position on, and starts again at the oldest after the newest.
    """

    def __init__(self) -> None:
        self._after = send_attempts.FIRST

    async def run(self, tx: Connection, now: datetime) -> Sequence[Event] | Unfinished:
        """Applies up to 500 of the next 10,000 parked receipts."""
        seen = await send_attempts.look_over(tx, self._after, LOOKED_AT)
        found = [place for place, waits_in_vain in seen if waits_in_vain][:RECEIPTS_AT_ONCE]
        if len(found) == RECEIPTS_AT_ONCE:
            self._after = found[-1]
        else:
            self._after = seen[-1][0] if len(seen) == LOOKED_AT else send_attempts.FIRST
        outputs = await _again(tx, [(p, NO_INPUT) for p in await send_attempts.take_parked(tx, found)], now)
        events = [output.event for output in outputs]
        return Unfinished(events) if found else events


async def give_up(tx: Connection, now: datetime) -> list[DeadLetter]:
    """Makes dead letters of up to 500 receipts that have waited for a day. The caller publishes them."""
    parked = await send_attempts.give_up_parked(tx, now - PATIENCE, RECEIPTS_AT_ONCE)
    letters = [DeadLetter(Partition(p.topic, p.partition), _Raw.of(p), NEVER_SENT) for p in parked]
    if letters:
        await dead_letters.record(tx, letters)
    return letters


@dataclass(frozen=True, slots=True)
class _Raw:
    """A parked receipt as its original record. `timestamp` is in milliseconds since 1970."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes
    headers: headers.StoredHeaders

    @classmethod
    def of(cls, parked: Parked) -> "_Raw":
        timestamp = round(parked.record_at.timestamp() * 1000)
        return cls(parked.offset, timestamp, parked.key, parked.value, headers.unpack(parked.headers))


async def _unpark(
    tx: Connection, keys: Mapping[SendKey, Origin], learned: Mapping[ProviderKey, Origin], now: datetime
) -> list[Output]:
    if not keys and not learned:
        return []
    parked = await send_attempts.unpark(tx, keys.keys(), learned.keys(), RECEIPTS_AT_ONCE)
    return await _again(tx, [(p, _waker(p, keys, learned)) for p in parked], now, learned.keys())


async def _again(
    tx: Connection, parked: Sequence[tuple[Parked, Origin]], now: datetime, asked: Collection[ProviderKey] = ()
) -> list[Output]:
    """Applies parked receipts, then those that waited for a provider id that one of them has. Leaves out the ids in
    `asked`.
    """
    if not parked:
        return []
    arrivals = [
        ReceiptArrival(_RECEIPT.decode(p.value), p.record_at, cause_of(origin), recorded_at=p.recorded_at)
        for p, origin in parked
    ]
    received = await receive(tx, arrivals, now)
    learned = {key: origin for key, origin in received.learned.items() if key not in asked}
    return received.outputs + await _unpark(tx, {}, learned, now)


def _waker(parked: Parked, keys: Mapping[SendKey, Origin], learned: Mapping[ProviderKey, Origin]) -> Origin:
    """The cause of a parked receipt's events: what it waited for, because its own partition has moved on."""
    if parked.send_id is not None:
        return keys[parked.workspace_id, parked.send_id]
    return learned[parked.workspace_id, parked.channel_id, parked.provider_message_id or ""]


def _arrival(record: Record[DeliveryReceipt]) -> ReceiptArrival:
    cause = cause_of(origin_of_record(record))
    return ReceiptArrival(record.value, record.timestamp, cause, recorded_at=record.recorded_at)


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
        recorded_at=record.recorded_at,
    )


def _as_it_came(record: Record[DeliveryReceipt]) -> RawRecord:
    if record.raw is None:
        raise ValueError("only a receipt that came on a topic can wait")
    return record.raw
