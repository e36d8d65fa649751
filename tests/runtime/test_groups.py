"""A database is bound to a group prefix by the first record applied: a start alone binds nothing, and no record is
applied for two prefixes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from asyncpg import Pool

from tests.runtime.ledgerbook import TOPIC, book, rows, spec_of
from tests.support.brokers import PATIENCE_S, Broker
from tests.support.databases import until
from tests.support.workers import running
from workers.errors import SetupError
from workers.records import Fingerprint, Partition, PartitionStep
from workers.runtime.ledger import PostgresLedger
from workers.runtime.ports import Effects
from workers.store import group_binding
from workers.store.connection import Connection
from workers.store.failures import Fenced

HERE, BESIDE = Partition(TOPIC, 0), Partition(TOPIC, 1)
WAITING = "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)"


@pytest.fixture
async def booked(pool: Pool) -> Pool:
    await book(pool)
    return pool


Opened = Callable[[str], Awaitable[PostgresLedger]]


def records(first: int, end: int) -> list[tuple[bytes, bytes]]:
    return [(b"%d" % value, b"%d" % value) for value in range(first, end)]


def under(prefix: str, broker: Broker) -> Broker:
    return Broker(broker.kind, broker.bootstrap, group_prefix=prefix)


@pytest.fixture
async def opened(booked: Pool) -> AsyncIterator[Opened]:
    """Opens the ledger of a consumer group."""
    async with AsyncExitStack() as stack:

        async def open_(group: str) -> PostgresLedger:
            ledger = PostgresLedger(booked, group, f"owner of {group}")
            await ledger.open()
            stack.push_async_callback(ledger.close)
            return ledger

        yield open_


async def apply_first(ledger: PostgresLedger, source: Partition, value: int = 1) -> None:
    async def body(tx: Connection, _now: object) -> Effects:
        await tx.execute("INSERT INTO book VALUES ($1, 0, $2)", source.partition, value)
        return Effects((), ())

    await ledger.transact([PartitionStep(source, None, 1, Fingerprint(0, 0, 0))], body, ())


async def test_a_start_that_applied_nothing_binds_nothing(database: str, booked: Pool, broker: Broker) -> None:
    async with running(spec_of(), database, under("wrong", broker)):
        pass
    async with running(spec_of(), database, broker):
        await broker.produce(TOPIC, records(100, 110))
        await broker.caught_up(booked, TOPIC)
    assert await rows(booked) == list(range(100, 110))


async def test_of_two_prefixes_at_work_one_applies_and_the_other_is_refused(
    database: str, booked: Pool, broker: Broker
) -> None:
    async with (
        running(spec_of(), database, under("wrong", broker)) as wrong,
        running(spec_of(), database, broker) as right,
    ):
        await broker.produce(TOPIC, records(100, 140))
        await asyncio.wait({wrong.ending, right.ending}, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
        refused = wrong if wrong.ending.done() else right
        with pytest.raises(SetupError, match="set SLUICE_GROUP_PREFIX"):
            await refused.ended()
        await broker.caught_up(booked, TOPIC)
    assert await rows(booked) == list(range(100, 140))


async def test_the_second_prefix_to_apply_is_refused_whichever_partition_it_has(opened: Opened, booked: Pool) -> None:
    ours, theirs = await opened("ours-book"), await opened("theirs-book")
    assert await ours.take(1, HERE) is not None
    assert await theirs.take(1, BESIDE) is not None
    await apply_first(ours, HERE)
    with pytest.raises(
        SetupError, match="bound to the group prefix ours, and SLUICE_GROUP_PREFIX is theirs"
    ) as refused:
        await apply_first(theirs, BESIDE)
    assert "sluice progress rebind" in str(refused.value)
    with pytest.raises(SetupError, match="bound to the group prefix ours"):
        await theirs.take(2, BESIDE)
    assert await rows(booked) == [1]


@pytest.mark.parametrize("commits", [True, False])
async def test_two_first_records_at_once_bind_one_prefix(opened: Opened, booked: Pool, *, commits: bool) -> None:
    ours, theirs = await opened("ours-book"), await opened("theirs-book")
    assert await ours.take(1, HERE) is not None
    assert await theirs.take(1, BESIDE) is not None
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def body(_tx: Connection, _now: object) -> Effects:
        begun.set()
        await go_on.wait()
        if not commits:
            raise ValueError("rolled back")
        return Effects((), ())

    first = asyncio.create_task(ours.transact([PartitionStep(HERE, None, 1, Fingerprint(0, 0, 0))], body, ()))
    await begun.wait()
    second = asyncio.create_task(apply_first(theirs, BESIDE))
    try:
        await until(booked, WAITING, timeout_s=10)
    finally:
        go_on.set()
    ended = await asyncio.gather(first, second, return_exceptions=True)

    assert [type(e) for e in ended] == ([Effects, SetupError] if commits else [ValueError, type(None)])
    assert await rows(booked) == ([] if commits else [1])


async def test_once_bound_nobody_waits_for_another_partitions_first_record(opened: Opened, booked: Pool) -> None:
    one, two = await opened("ours-book"), await opened("ours-book")
    third = Partition(TOPIC, 2)
    assert await one.take(1, HERE) is not None
    await apply_first(one, HERE)
    assert await one.take(1, BESIDE) is not None
    assert await two.take(1, third) is not None

    async def body(_tx: Connection, _now: object) -> Effects:
        await asyncio.wait_for(apply_first(two, third, 2), 10)
        return Effects((), ())

    await one.transact([PartitionStep(BESIDE, None, 1, Fingerprint(0, 0, 0))], body, ())
    assert await rows(booked) == [1, 2]


async def test_whoever_took_an_unbegun_partition_over_has_it(opened: Opened, booked: Pool) -> None:
    ours, theirs = await opened("ours-book"), await opened("theirs-book")
    assert await ours.take(7, HERE) is not None
    assert await theirs.take(1, HERE) is not None
    with pytest.raises(SetupError, match="theirs-book .* uses"):
        await apply_first(ours, HERE)
    assert await rows(booked) == []
    await theirs.release()
    with pytest.raises(Fenced):  # nobody is at work on it: starting again is all it takes
        await apply_first(ours, HERE)
    assert await ours.take(7, HERE) is not None
    await apply_first(ours, HERE)


async def test_a_partition_lost_to_a_prefix_that_is_not_bound_is_taken_back(opened: Opened, booked: Pool) -> None:
    ours, theirs = await opened("ours-book"), await opened("theirs-book")
    for source in (HERE, BESIDE):
        assert await ours.take(1, source) is not None
    assert await theirs.take(1, BESIDE) is not None
    await apply_first(ours, HERE)
    with pytest.raises(Fenced):
        await apply_first(ours, BESIDE)
    assert await ours.take(1, BESIDE) is not None
    await apply_first(ours, BESIDE, 2)
    assert await rows(booked) == [1, 2]


async def test_a_prefix_is_bound_to_the_database_not_to_a_topic(opened: Opened, booked: Pool) -> None:
    ours = await opened("o-u-r-s-book")
    assert await ours.take(1, HERE) is not None
    await apply_first(ours, HERE)
    async with booked.acquire() as tx:
        await group_binding.check(tx, ["messages.outbound"], "o-u-r-s-other")
        for prefix, topic in [("o-u", "messages.outbound"), ("o-u-r-s", TOPIC)]:
            told = f"SLUICE_GROUP_PREFIX is {prefix}: the progress of {TOPIC} belongs to consumer group o-u-r-s-book"
            with pytest.raises(SetupError, match=told):
                await group_binding.check(tx, [topic], f"{prefix}-other")


async def test_a_person_binds_a_database_to_another_prefix(opened: Opened, booked: Pool) -> None:
    ours, theirs = await opened("ours-book"), await opened("theirs-book")
    for source in (HERE, BESIDE):
        assert await ours.take(1, source) is not None
    await apply_first(ours, HERE)
    async with booked.acquire() as tx, tx.transaction():
        assert await group_binding.bound(tx) == ["ours"]
        await group_binding.rebind(tx, "theirs")
        assert await group_binding.bound(tx) == ["theirs"]
    with pytest.raises(SetupError, match="bound to the group prefix theirs"):
        await apply_first(ours, BESIDE)
    taken = await theirs.take(1, HERE)
    assert taken is not None
    assert taken.next_offset == 1
    assert await theirs.take(1, BESIDE) is not None
    await apply_first(theirs, BESIDE, 2)
