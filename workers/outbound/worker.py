"""The outbound worker: requests and receipts, in one transaction per poll."""

from schemas.decoding import decode_receipt, decode_send
from schemas.receipts import DeliveryReceipt
from schemas.routing import key_begins
from schemas.sends import SendRequest
from workers.outbound.parking import apply_receipts
from workers.outbound.requests import apply_requests
from workers.runtime.batch import Batch, Connection, Output, WorkerSpec


async def apply(tx: Connection, batch: Batch[SendRequest | DeliveryReceipt]) -> list[Output]:
    """Requests first: a receipt of the same poll finds the attempt it speaks of."""
    requests = [r for r in batch.records if isinstance(r.value, SendRequest)]
    receipts = [r for r in batch.records if isinstance(r.value, DeliveryReceipt)]
    outputs = await apply_requests(tx, requests, batch.now) if requests else []  # type: ignore[arg-type]
    return outputs + (await apply_receipts(tx, receipts, batch.now) if receipts else [])  # type: ignore[arg-type]


SPEC = WorkerSpec(
    "outbound", {"messages.outbound": decode_send, "messages.receipts": decode_receipt}, apply, key_begins=key_begins
)
