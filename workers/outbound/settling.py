"""settle_send: a person says what became of an attempt the sender could not be sure of (contract 4.6)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from schemas.receipts import DeliveryReceipt, ReceiptError
from workers.outbound.answering import Answered
from workers.outbound.receiving import Arrival, receive
from workers.outbound.telling import Cause, origin_of
from workers.runtime.batch import Connection, Output, Record
from workers.store import sends
from workers.store.sends import Send, SendKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """`settle_send`. `issued_at` is trusted already; `origin` is the command's record."""

    command_id: UUID
    workspace_id: str
    actor_id: str
    issued_at: datetime
    origin: Record[Any]
    send_id: UUID
    verdict: Literal["sent", "failed", "retry"]


async def settle(
    tx: Connection, settlements: Sequence[Settlement], now: datetime
) -> tuple[list[Answered], list[Output]]:
    """Apply settlements in order; one result each. `retry` makes another attempt due at once, for upkeep to judge.

    Raises:
        RetryBatch: a send moved to another contact while it was waited for.
    """
    known = await sends.read(tx, {(s.workspace_id, s.send_id) for s in settlements})
    results: list[Answered] = []
    arrivals: list[Arrival] = []
    settled: set[SendKey] = set()
    for settlement in settlements:
        reason = _refusal(settlement, known, settled)
        if reason is None:
            key = settlement.workspace_id, settlement.send_id
            settled.add(key)
            arrivals.append(_arrival(settlement, known[key]))
        changed = {"settled": 1} if reason is None else {}
        results.append(Answered(settlement.command_id, settlement.workspace_id, reason, changed))
    return results, (await receive(tx, arrivals, now)).outputs if arrivals else []


def _refusal(settlement: Settlement, known: Mapping[SendKey, Send], settled: set[SendKey]) -> str | None:
    key = settlement.workspace_id, settlement.send_id
    if key not in known:
        return "not_found"
    return None if known[key].status == "ambiguous" and key not in settled else "already_final"


def _arrival(settlement: Settlement, send: Send) -> Arrival:
    accepted = settlement.verdict == "sent"
    receipt = DeliveryReceipt(
        workspace_id=send.workspace_id,
        channel_id=send.channel_id,
        send_id=send.send_id,
        attempt=send.best_attempt,
        status="sent" if accepted else "failed",
        at=settlement.issued_at,
        error=None if accepted else ReceiptError(permanent=settlement.verdict == "failed"),
    )
    cause = Cause(str(settlement.command_id), origin_of(settlement.origin), settlement.actor_id)
    return Arrival(receipt, settlement.issued_at, cause, repeat_now=settlement.verdict == "retry")
