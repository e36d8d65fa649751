"""SQL finds parked receipts whose attempt exists, Python the attempt of a receipt: both agree."""

from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from schemas.receipts import DeliveryReceipt
from tests.store.worlds import GENERATED, NOW
from tests.support.databases import InATransaction
from tests.workers.records import WORKSPACE, uuid_of
from tests.workers.sending import request
from workers.records import Batch
from workers.sends import worker
from workers.sends.arrivals import ReceiptArrival
from workers.sends.events import NO_INPUT
from workers.sends.receipts import cause_of, receive
from workers.store import send_attempts
from workers.store.connection import Connection
from workers.store.send_attempts import Attempt, Parked

SENDS: Final = ("s1", "s2", "never asked for")
IDS: Final = ("p1", "p2", "p3")

subjects = st.tuples(st.none() | st.sampled_from(SENDS).map(uuid_of), st.none() | st.sampled_from(IDS)).filter(any)
receipts = st.builds(
    lambda subject, attempt: DeliveryReceipt(
        workspace_id=WORKSPACE,
        channel_id="whatsapp-main",
        status="sent",
        at=NOW,
        send_id=subject[0],
        provider_message_id=subject[1],
        attempt=attempt,
    ),
    subjects,
    st.none() | st.integers(1, 3),
)
id_or_none = st.none() | st.sampled_from(IDS)
named = st.tuples(id_or_none, id_or_none).filter(lambda ids: ids[0] != ids[1] or ids[0] is None)


@GENERATED
@given(st.lists(receipts, max_size=8), named)
def test_what_need_not_wait_is_what_finds_its_attempt(
    in_a_transaction: InATransaction, waiting: list[DeliveryReceipt], ids: tuple[str | None, str | None]
) -> None:
    async def compare(tx: Connection) -> None:
        await worker.apply(tx, Batch([request("s1"), request("s2")], NOW))
        await send_attempts.save(tx, [_attempt(name, id_) for name, id_ in zip(SENDS, ids, strict=False)])
        finding = {offset for offset, receipt in enumerate(waiting) if await _finds_its_attempt(tx, receipt)}
        await send_attempts.park(tx, [_parked(offset, receipt) for offset, receipt in enumerate(waiting)])
        keys, provider_ids = {(WORKSPACE, uuid_of(s)) for s in SENDS}, {(WORKSPACE, "whatsapp-main", i) for i in IDS}
        woken = tx.transaction()
        await woken.start()
        assert {p.offset for p in await send_attempts.unpark(tx, keys, provider_ids, 100)} == finding
        await woken.rollback()
        places = await send_attempts.look_over(tx, send_attempts.FIRST, 100)
        assert {place.offset for place, found in places if found} == finding
        taken = await send_attempts.take_parked(tx, [place for place, found in places if found])
        assert {p.offset for p in taken} == finding

    in_a_transaction(compare)


async def _finds_its_attempt(tx: Connection, receipt: DeliveryReceipt) -> bool:
    tried = tx.transaction()
    await tried.start()
    received = await receive(tx, [ReceiptArrival(receipt, NOW, cause_of(NO_INPUT))], NOW)
    await tried.rollback()
    return not received.early


def _attempt(send: str, provider_message_id: str | None) -> Attempt:
    return Attempt(
        workspace_id=WORKSPACE,
        send_id=uuid_of(send),
        attempt=1,
        channel_id="whatsapp-main",
        status="sent",
        dispatched_at=NOW,
        provider_message_id=provider_message_id,
    )


def _parked(offset: int, receipt: DeliveryReceipt) -> Parked:
    return Parked(
        workspace_id=WORKSPACE,
        topic="messages.receipts",
        partition=0,
        offset=offset,
        send_id=receipt.send_id,
        channel_id=receipt.channel_id,
        provider_message_id=receipt.provider_message_id,
        attempt=receipt.attempt,
        key=None,
        value=b"{}",
        headers=None,
        record_at=NOW,
        parked_at=NOW,
    )
