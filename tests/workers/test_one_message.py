"""An echo, and a receipt that names its provider's id, are one message: in any order, and counted once."""

import asyncio
from collections.abc import Sequence
from functools import partial
from itertools import permutations
from typing import Any, Final
from uuid import UUID

import pytest
from asyncpg import Pool
from hypothesis import given
from hypothesis import strategies as st

from schemas.ids import message_id
from tests.store.storing import seal, turn
from tests.store.worlds import GENERATED
from tests.support.databases import InATransaction
from tests.workers.asking import ask, by_phone, give
from tests.workers.records import WORKSPACE, at, batch, message, uuid_of
from tests.workers.sending import PHONE, configure, receipt, request, rows, send, transact
from workers.errors import RetryBatch
from workers.messages import worker as inbound
from workers.records import Record
from workers.sends import worker
from workers.store.connection import Connection

pytestmark = pytest.mark.usefixtures("_cycles_stay_open")

BOB: Final = "+4915100000000"
PEOPLE: Final = {1: PHONE, 2: BOB}
DAY: Final = 60 * 24
LATER: Final = at(DAY * 50)
MOMENTS: Final = (15, 20, 25, DAY * 35, DAY * 40)
SHOWN: Final = """
    SELECT message_id, kind, status, source, event_time, content ->> 'text', counted FROM conversation_messages
    ORDER BY event_time, message_id"""
PROOFS: Final = (
    "SELECT first_message_id, first_counted_at FROM mac_contacts ORDER BY first_counted_at, first_message_id"
)
COUNTS: Final = "SELECT active_contacts FROM mac_counts ORDER BY cycle_start"
# An echo that is the first message of a workspace may begin a cycle that its send does not.
ACTIVE: Final = "SELECT cycle_start, active_contacts FROM mac_counts WHERE active_contacts > 0 ORDER BY cycle_start"
WAITING: Final = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"
CONFLICTS: Final = "SELECT message_id, times FROM message_conflicts"


def named(provider_id: str) -> UUID:
    return message_id(WORKSPACE, "whatsapp-main", "out", provider_id)


def echo(provider_id: str = "p1", *, minutes: float = 15, to: str = PHONE, text: str = "text of s1") -> Any:
    return message(to, kind="echo", minutes=minutes, provider_message_id=provider_id, text=text)


moments = st.sampled_from(MOMENTS)
which = st.sampled_from((1, 2))
echoes = st.builds(lambda of, at_: echo(f"p{of}", minutes=at_, to=PEOPLE[of], text=f"text of s{of}"), which, moments)
messages = st.builds(lambda of, at_: message(PEOPLE[of], minutes=at_), which, moments)
receipts = st.builds(
    lambda of, status, at_, named_by: receipt(status, f"s{of}", minutes=at_, **dict.fromkeys(named_by, f"p{of}")),
    which,
    st.sampled_from(("sent", "delivered", "read", "ambiguous", "failed")),
    moments,
    st.sampled_from(((), ("provider_message_id",))),
)
happenings = st.tuples(
    # of echoes with one id the first that is applied stays
    st.lists(echoes, max_size=2, unique_by=lambda e: e.value.provider_message_id),
    st.lists(receipts, max_size=5),
    st.lists(messages, max_size=2),
).map(lambda some: [h for each in some for h in each])


async def ingest(pool: Pool, *records: Any) -> None:
    await transact(pool, lambda tx: inbound.apply(tx, batch(*records, now=LATER)))


async def receive(pool: Pool, *records: Any) -> None:
    await send(pool, *records, now=LATER)


async def play(pool: Pool, happenings: Sequence[Any]) -> None:
    for happening in happenings:
        await (ingest if happening.source.topic == "messages.inbound" else receive)(pool, happening)


@GENERATED
@given(happenings.flatmap(lambda some: st.tuples(st.just(some), st.permutations(some))))
def test_any_order_of_echoes_and_receipts_ends_in_the_same(
    in_a_transaction: InATransaction, orders: tuple[Sequence[Record[Any]], Sequence[Record[Any]]]
) -> None:
    ends: list[Any] = []

    async def end(order: Sequence[Record[Any]], tx: Connection) -> None:
        await worker.apply(tx, batch(request("s1"), request("s2", to=BOB), now=LATER))
        for happening in order:
            apply = inbound.apply if happening.source.topic == "messages.inbound" else worker.apply
            await apply(tx, batch(happening, now=LATER))
        ends.append([[tuple(row) for row in await tx.fetch(query)] for query in (SHOWN, PROOFS, ACTIVE)])

    for order in orders:
        in_a_transaction(partial(end, order))
    assert ends[0] == ends[1]


@pytest.mark.parametrize("sealed", [False, True], ids=["at once", "when the first lies in an old generation"])
@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
async def test_echo_and_receipts_are_one_message_in_any_order(
    pool: Pool, order: tuple[int, ...], *, sealed: bool
) -> None:
    happenings = [echo(), receipt("sent", minutes=20), receipt("delivered", minutes=22, provider_message_id="p1")]
    await receive(pool, request(source="api"))
    for n, which in enumerate(order):
        await play(pool, [happenings[which]])
        if sealed and n == 0:
            assert await turn(pool)
            assert await seal(pool)

    assert await rows(pool, SHOWN) == [(named("p1"), "send", "delivered", "api", at(20), "text of s1", True)]
    assert await rows(pool, PROOFS) == [(named("p1"), at(20))]
    assert await rows(pool, COUNTS) == [(1,), (0,)]
    assert await rows(pool, CONFLICTS) == []
    assert await rows(pool, "SELECT message_id FROM sends") == [(named("p1"),)]
    await play(pool, happenings)
    assert await rows(pool, "SELECT count(*) FROM messages") == [(1,)]
    assert await rows(pool, CONFLICTS) == []


async def test_the_proof_moves_to_the_month_of_the_acceptance(pool: Pool) -> None:
    await receive(pool, request(minutes=10))
    await play(pool, [echo(minutes=DAY * 35), receipt("sent", minutes=20)])
    assert await rows(pool, COUNTS) == [(1,), (1,)]
    await play(pool, [receipt("delivered", minutes=30, provider_message_id="p1")])
    assert await rows(pool, PROOFS) == [(named("p1"), at(20))]
    assert await rows(pool, COUNTS) == [(1,), (0,)]


async def test_a_broadcast_that_does_not_count_takes_the_count_of_its_echo(pool: Pool) -> None:
    await configure(pool, count_broadcasts=False)
    await play(pool, [request(source="broadcast"), echo()])
    assert await rows(pool, COUNTS) == [(1,), (0,)]
    await play(pool, [receipt("sent", provider_message_id="p1")])
    assert await rows(pool, PROOFS) == []
    assert await rows(pool, COUNTS) == [(0,), (0,)]


async def test_the_count_goes_to_the_next_message_if_the_send_does_not_count(pool: Pool) -> None:
    await receive(pool, request(minutes=10))
    await play(pool, [echo(minutes=15), message(PHONE, minutes=25), receipt("sent", minutes=DAY * 35)])
    assert await rows(pool, PROOFS) == [(named("p1"), at(15)), (named(f"send:{uuid_of('s1')}"), at(DAY * 35))]
    await play(pool, [receipt("delivered", minutes=DAY * 36, provider_message_id="p1")])
    [(first, when), second] = await rows(pool, PROOFS)
    assert when == at(25)
    assert first != named("p1")
    assert second == (named("p1"), at(DAY * 35))


async def test_other_content_of_the_echo_is_a_conflict_and_still_one_message(pool: Pool) -> None:
    await receive(pool, request())
    await play(pool, [echo(text="as the provider shows it"), receipt("sent", provider_message_id="p1")])
    assert [row[:3] for row in await rows(pool, SHOWN)] == [(named("p1"), "send", "sent")]
    assert await rows(pool, CONFLICTS) == [(named("p1"), 1)]


@pytest.mark.parametrize("echo_first", [True, False])
async def test_an_id_of_a_message_to_somebody_else_stays_theirs(pool: Pool, *, echo_first: bool) -> None:
    await receive(pool, request())
    other = echo(to=BOB)
    await play(pool, [other, receipt("sent")] if echo_first else [receipt("sent"), other])
    await play(pool, [receipt("delivered", provider_message_id="p1")])
    shown = {(row[0], row[1]) for row in await rows(pool, SHOWN)}
    assert shown == {(named("p1"), "echo"), (named(f"send:{uuid_of('s1')}"), "send")}
    assert await rows(pool, COUNTS) == [(2,), (0,)]
    assert await rows(pool, CONFLICTS) == [(named("p1"), 1)]


@pytest.mark.parametrize("together", [True, False])
async def test_two_sends_cannot_have_one_providers_id(pool: Pool, *, together: bool) -> None:
    await receive(pool, request("s1"), request("s2", to=BOB))
    receipts = [receipt("sent", name, minutes=20, provider_message_id="p1") for name in ("s1", "s2")]
    for some in [receipts] if together else [[r] for r in receipts]:
        await receive(pool, *some)
    assert [row[0] for row in await rows(pool, SHOWN)] == sorted([named("p1"), named(f"send:{uuid_of('s2')}")])
    assert await rows(pool, CONFLICTS) == [(named("p1"), 1)]
    ids = "SELECT send_id, provider_message_id FROM send_attempts ORDER BY provider_message_id"
    assert await rows(pool, ids) == [(uuid_of("s1"), "p1"), (uuid_of("s2"), None)]

    await receive(pool, receipt("read", None, provider_message_id="p1"))
    assert await rows(pool, "SELECT status FROM sends ORDER BY status") == [("read",), ("sent",)]


async def test_a_message_of_a_former_owner_of_the_address_gets_the_id(pool: Pool) -> None:
    """The address went to a second contact before the acceptance, and was removed from that one after it."""
    removed = partial(ask, "remove_channel", identity=by_phone(PHONE))
    await receive(pool, request())
    await give(pool, removed(minutes=11))
    await play(pool, [message(PHONE, minutes=12), receipt("sent", minutes=15)])
    await give(pool, removed(minutes=16))
    await play(pool, [receipt("delivered", minutes=20, provider_message_id="p1"), echo(minutes=21)])
    assert await rows(pool, "SELECT kind, message_id FROM messages WHERE kind <> 'message'") == [("send", named("p1"))]
    assert await rows(pool, "SELECT message_id FROM sends") == [(named("p1"),)]


async def test_an_echo_to_the_next_owner_of_the_address_stays_theirs(pool: Pool) -> None:
    await receive(pool, request())
    await play(pool, [receipt("sent", minutes=15)])
    await give(pool, ask("remove_channel", minutes=16, identity=by_phone(PHONE)))
    await play(pool, [echo(minutes=20), receipt("delivered", minutes=25, provider_message_id="p1")])
    stored = "SELECT event_time, message_id FROM messages ORDER BY event_time"
    both = [(at(15), named(f"send:{uuid_of('s1')}")), (at(20), named("p1"))]
    assert await rows(pool, stored) == both
    assert await rows(pool, PROOFS) == [(id_, when) for when, id_ in both]
    assert await rows(pool, CONFLICTS) == [(named("p1"), 1)]


async def test_an_address_that_somebody_gets_while_its_send_is_accepted(pool: Pool) -> None:
    await receive(pool, request())
    await give(pool, ask("remove_channel", minutes=11, identity=by_phone(PHONE)))
    async with pool.acquire() as tx:
        making = tx.transaction()
        await making.start()
        await worker.apply(tx, batch(request("s2"), now=LATER))
        accepting = asyncio.create_task(receive(pool, receipt("sent", minutes=20)))
        while not await pool.fetchval(WAITING):  # noqa: ASYNC110 - a database has no event to wait for
            await asyncio.sleep(0.01)
        await making.commit()
    with pytest.raises(RetryBatch):
        await accepting
    await receive(pool, receipt("sent", minutes=20))
    assert await rows(pool, "SELECT send_id FROM messages") == [(uuid_of("s1"),)]


async def test_two_transactions_that_name_messages_of_one_contact_wait_for_each_other(pool: Pool) -> None:
    names = ("s1", "s2", "s3")
    await receive(pool, *map(request, names))
    await receive(pool, *(receipt("sent", name) for name in names))
    named_now = (receipt("delivered", name, provider_message_id=f"p {name}") for name in names)
    await asyncio.gather(*(receive(pool, each) for each in named_now))
    assert {row[0] for row in await rows(pool, SHOWN)} == {named(f"p {name}") for name in names}
