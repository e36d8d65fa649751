"""The outbound worker: applies the send requests and delivery receipts of one poll, in one transaction."""

from schemas.decoding import decode_receipt, decode_send
from schemas.receipts import DeliveryReceipt
from schemas.routing import key_begins
from schemas.sends import InvalidSend, SendRequest
from workers.records import Batch, Output
from workers.runtime.worker_spec import WorkerSpec
from workers.sends.early_receipts import apply_receipts
from workers.sends.requests import apply_requests
from workers.store.connection import Connection


async def apply(tx: Connection, batch: Batch[SendRequest | InvalidSend | DeliveryReceipt]) -> list[Output]:
    """Applies requests before receipts, so a receipt finds the attempt that a request of the same poll made."""
    requests = [r for r in batch.records if isinstance(r.value, SendRequest | InvalidSend)]
    receipts = [r for r in batch.records if isinstance(r.value, DeliveryReceipt)]
    outputs = await apply_requests(tx, requests, batch.now) if requests else []  # type: ignore[arg-type]
    return outputs + (await apply_receipts(tx, receipts, batch.now) if receipts else [])  # type: ignore[arg-type]


SPEC = WorkerSpec(
    "outbound",
    {"messages.outbound": decode_send, "messages.receipts": decode_receipt},
    apply,
    lanes=2,
    key_begins=key_begins,
)
