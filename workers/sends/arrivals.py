"""Receipts as they arrive, and which attempt each is about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from msgspec.structs import replace

from schemas.receipts import DeliveryReceipt
from workers.rules.attempts import Settlement, wait_for_provider
from workers.rules.event_time import trusted
from workers.rules.send_states import RECEIPTS, SETTLEMENTS, SendEvent
from workers.sends.events import SendCause
from workers.store import send_attempts
from workers.store.connection import Connection
from workers.store.send_attempts import ProviderKey
from workers.store.sends import SendKey

AttemptKey = tuple[SendKey, int | None]
"""A send, and the number of its attempt; None: the latest."""


@dataclass(frozen=True, slots=True)
class ReceiptArrival:
    """A receipt. `record_at` is Kafka's time, `recorded_at` the watermark. `settled`: it is a person's word, not the
    provider's.
    """

    receipt: DeliveryReceipt
    record_at: datetime
    cause: SendCause
    settled: Settlement | None = None
    recorded_at: datetime | None = None

    @property
    def event(self) -> SendEvent:
        return RECEIPTS[self.receipt.status] if self.settled is None else SETTLEMENTS[self.settled]

    @property
    def at(self) -> datetime:
        return trusted(self.receipt.at, self.record_at)

    @property
    def not_before(self) -> datetime | None:
        """The provider wants no other attempt before this time; None: it did not say."""
        error = self.receipt.error
        if self.receipt.status != "failed" or error is None or error.retry_after_s is None:
            return None
        return self.at + wait_for_provider(error.retry_after_s)

    @property
    def provider_key(self) -> ProviderKey | None:
        return self.key_on(self.receipt.channel_id)

    def key_on(self, channel_id: str) -> ProviderKey | None:
        """The id that it names, on the send's channel, whatever channel it names itself."""
        given = self.receipt.provider_message_id
        return (self.receipt.workspace_id, channel_id, given) if given is not None else None

    def without_provider_id(self) -> "ReceiptArrival":
        if self.receipt.provider_message_id is None:
            return self
        unnamed = replace(self.receipt, provider_message_id=None)
        return ReceiptArrival(unnamed, self.record_at, self.cause, self.settled, self.recorded_at)


async def locate(
    tx: Connection, arrivals: Sequence[ReceiptArrival]
) -> tuple[list[AttemptKey | None], dict[ProviderKey, SendKey]]:
    """The send and attempt of each receipt, and the send that has each provider's id. That id determines the attempt if
    none is named.
    """
    asked = {key for a in arrivals if (key := a.provider_key) is not None}
    by_id: dict[ProviderKey, AttemptKey] = {
        key: ((key[0], send_id), number)
        for key, (send_id, number) in (await send_attempts.by_provider_id(tx, asked)).items()
    }
    holders = {key: send for key, (send, _) in by_id.items()}
    for arrival in arrivals:
        key, send_id = arrival.provider_key, arrival.receipt.send_id
        if key is not None and send_id is not None:
            by_id.setdefault(key, ((arrival.receipt.workspace_id, send_id), arrival.receipt.attempt))
    return [_place(arrival, by_id) for arrival in arrivals], holders


def _place(arrival: ReceiptArrival, by_id: Mapping[ProviderKey, AttemptKey]) -> AttemptKey | None:
    receipt = arrival.receipt
    known = by_id.get(arrival.provider_key) if arrival.provider_key is not None else None
    if receipt.send_id is None:
        return known
    key = receipt.workspace_id, receipt.send_id
    if receipt.attempt is not None or known is None or known[0] != key:
        return key, receipt.attempt
    return known
