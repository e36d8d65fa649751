"""SIGSTOP for longer than a session, then SIGCONT after a take-over: a late worker changes nothing."""

from signal import SIGCONT, SIGSTOP
from typing import Final

import pytest
from asyncpg import Record

from tests.faults import audit, oracle, traffic
from tests.faults.process import Fault, WorkerProcess
from tests.faults.stage import Stage
from tests.faults.world import World
from tests.runtime import ledgerbook
from tests.runtime.ledgerbook import OUTPUT, TOPIC
from tests.support.databases import until
from workers.errors import ExitCode

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

ROOMS: Final = "inbound,commands,outbound,workflows"
HELD: Final = """
SELECT topic, partition, lease, coalesce(next_offset, 0) AS next_offset
FROM sluice_core.progress WHERE owner LIKE '%/' || $1 || '/%'
"""
OUTLIVED: Final = """
SELECT NOT EXISTS (
    SELECT FROM sluice_core.progress AS p
    JOIN unnest($1::text[], $2::int[], $3::uuid[], $4::bigint[], $5::bigint[])
        AS z (topic, partition, lease, next_offset, known) USING (topic, partition)
    WHERE p.lease IS NULL OR p.lease = z.lease
       OR z.next_offset < z.known AND coalesce(p.next_offset, 0) = z.next_offset
)
"""
OWNED_BY: Final = "SELECT count(*) = $2 FROM sluice_core.progress WHERE owner LIKE '%/' || $1 || '/%'"


async def stopped(stage: Stage, zombie: WorkerProcess) -> list[Record]:
    """What it holds once it stands still."""
    await zombie.is_paused()
    held: list[Record] = await stage.pool.fetch(HELD, str(zombie.pid))
    assert held
    return held


async def outlived(stage: Stage, zombie: WorkerProcess, held: list[Record]) -> None:
    """Waits until others have what it held, and have gone on where it stood; all while it stands still."""
    ends = {topic: await stage.broker.ends(topic) for topic in {row["topic"] for row in held}}
    known = [ends[row["topic"]][row["partition"]] for row in held]
    columns = [[row[name] for row in held] for name in ("topic", "partition", "lease", "next_offset")]
    try:
        await until(stage.pool, OUTLIVED, *columns, known, timeout_s=60)
    except TimeoutError:
        raise AssertionError(f"nobody took over\n{stage.told()}") from None
    await zombie.is_paused()


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize(
    ("fault", "codes"),
    [
        (Fault("applied", 5, SIGSTOP), {ExitCode.FENCED}),
        # While one poll is published, the next one may be in its transaction.
        (Fault("acknowledged", 5, SIGSTOP), {ExitCode.FENCED, ExitCode.CLEAN}),
    ],
    ids=["in a transaction", "while publishing"],
)
async def test_a_busy_zombie_changes_nothing_when_it_wakes_up(
    everything: Stage, quiet_world: World, fault: Fault, codes: set[ExitCode], count: int
) -> None:
    heirs = await everything.fork_ready(count=count - 1)
    zombies: list[WorkerProcess] = []

    async def pause(part: str) -> None:
        if part == "memberships":
            # It must have partitions before the load comes, which the other workers alone might finish quickly.
            await everything.broker.caught_up(everything.pool, *traffic.INPUTS)
            zombies.append(await everything.fork(ROOMS, fault=fault))
            await zombies[0].has_logged("ready")
        if part == "load":
            held = await stopped(everything, zombies[0])
            await outlived(everything, zombies[0], held)
            zombies[0].send(SIGCONT)

    await traffic.play(everything.broker, everything.pool, meanwhile=pause)
    assert await everything.stop(*heirs) == [ExitCode.CLEAN] * len(heirs), everything.told()
    code = await zombies[0].stop()
    # A part that was fenced begins again after a second, if the load lasts until then.
    ended = {line["exit_code"] for line in zombies[0].logged() if line.get("action") == "begun_again"}
    assert code in codes or (code == ExitCode.CLEAN and ExitCode.FENCED in ended), everything.told()
    await everything.assert_as_without_faults(quiet_world)


@pytest.mark.parametrize("count", [2, 3])
async def test_an_idle_zombie_that_is_sent_records_changes_nothing_when_it_wakes_up(
    everything: Stage, quiet_world: World, count: int
) -> None:
    zombie, *heirs = await everything.fork_ready(count=count)
    held: list[Record] = []

    async def pause(part: str) -> None:
        if part == "memberships":
            await everything.broker.caught_up(everything.pool, *traffic.INPUTS)
            zombie.send(SIGSTOP)
            held.extend(await stopped(everything, zombie))
        if part == "load":
            await outlived(everything, zombie, held)
            zombie.send(SIGCONT)

    await traffic.play(everything.broker, everything.pool, meanwhile=pause)
    assert await everything.stop(*heirs) == [ExitCode.CLEAN] * len(heirs), everything.told()
    # The broker's answer to its last question may have waited for it: then it has a batch, which is refused.
    assert await zombie.stop() in (ExitCode.CLEAN, ExitCode.FENCED), everything.told()
    await everything.assert_as_without_faults(quiet_world)


async def test_an_idle_zombie_joins_again(book: Stage) -> None:
    zombie, after_crash = await book.fork_ready("book", 2)
    await book.broker.produce(TOPIC, _records(1_000, 1_100))
    await book.broker.caught_up(book.pool, TOPIC)
    zombie.send(SIGSTOP)
    await zombie.is_paused()
    await until(book.pool, OWNED_BY, str(after_crash.pid), 12)
    zombie.send(SIGCONT)
    await until(book.pool, OWNED_BY, str(zombie.pid), 6)
    await book.broker.produce(TOPIC, _records(1_100, 1_200))
    await book.broker.caught_up(book.pool, TOPIC)
    assert await book.stop() == [ExitCode.CLEAN, ExitCode.CLEAN]
    await _assert_booked(book, 1_200)


@pytest.mark.parametrize("point", ["fenced", "before_commit"])
async def test_an_heir_ends_the_transaction_of_a_zombie_and_does_not_wait_for_the_server_to_do_it(
    book: Stage, point: str
) -> None:
    await book.broker.produce(TOPIC, _records(1_000, 1_200))
    zombie = await book.fork("book", fault=Fault(point, 1, SIGSTOP), FAULT_PATIENCE="300s")
    await zombie.is_paused()
    after_crash = await book.fork("book")
    await book.broker.caught_up(book.pool, TOPIC)
    await zombie.is_paused()
    assert any(line.get("action") == "zombie_ended" for line in after_crash.logged())
    zombie.send(SIGCONT)
    assert await zombie.ended() == ExitCode.FENCED, zombie.tail()
    assert await after_crash.stop() == ExitCode.CLEAN
    await _assert_booked(book, 1_200)


async def test_a_poll_of_which_one_partition_is_lost_is_applied_but_for_that_one(book: Stage) -> None:
    await book.broker.produce(TOPIC, _records(1_000, 1_120))
    worker = await book.fork("book", fault=Fault("polled", 1, SIGSTOP))
    await worker.is_paused()
    # Somebody else has taken one of them meanwhile.
    lose = "UPDATE sluice_core.progress SET lease = gen_random_uuid(), owner = 'heir' WHERE partition = 5"
    await book.pool.execute(lose)
    worker.send(SIGCONT)
    assert await worker.ended() == ExitCode.FENCED, worker.tail()

    ends = await book.broker.ends(TOPIC)
    assert {s.partition: s.next for s in await audit.steps(book.pool)} == {p: ends[p] for p in ends if p != 5}
    published = len(await book.broker.read_all(OUTPUT))
    assert published == sum(ends.values()) - ends[5]
    await book.fork_ready("book")
    await book.broker.caught_up(book.pool, TOPIC)
    await _assert_booked(book, 1_120)
    assert len(await book.broker.read_all(OUTPUT)) == published + ends[5]


def _records(first: int, last: int) -> list[tuple[bytes | None, bytes | None]]:
    return [(b"k%d" % value, b"%d" % value) for value in range(first, last)]


async def _assert_booked(book: Stage, last: int) -> None:
    assert await ledgerbook.rows(book.pool) == list(range(1_000, last))
    await oracle.assert_applied_once(book.pool, book.broker, [TOPIC])
    oracle.assert_told(await audit.facts(book.pool), {OUTPUT: await book.broker.read_all(OUTPUT)})
