"""How a process starts and ends."""

import asyncio
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest
from asyncpg import Pool
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from schemas.ids import fact_id
from schemas.topics import TOPICS as ALL_TOPICS
from tests.cli.sending import KEY, message
from tests.runtime.ledgerbook import OUTPUT, TOPIC, apply, book, rows, spec_of
from tests.support.brokers import Broker
from tests.support.probes import HoldAt
from tests.support.processes import settings_for as settings
from workers.app import supervisor
from workers.app.composition import ALL, plan_of
from workers.app.settings import Settings, load_settings
from workers.app.supervisor import Plan
from workers.errors import ExitCode
from workers.process.signals import remembered
from workers.records import Batch, Event, Output, Partition
from workers.services.job_runner import Job, Unfinished
from workers.services.publisher import CompactedTopic, Current
from workers.store.connection import Connection

TOPICS = (TOPIC, OUTPUT, "dead.letters")


async def process(settings_: Settings, plan: Plan) -> tuple[ExitCode, list[str]]:
    """Runs until it ends by itself; the code and the actions it logged."""
    with capture_logs() as logs:
        code = await asyncio.wait_for(supervisor.run(settings_, plan, asyncio.Event()), 40)
    return code, [str(log["action"]) for log in logs if log["log_level"] == "error"]


@contextmanager
def handlers_kept() -> Iterator[None]:
    """The process that runs the tests does not end with what it tests."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


async def test_sigterm_ends_it_cleanly_with_everything_published(database: str, pool: Pool, broker: Broker) -> None:
    await book(pool)
    await broker.create(*TOPICS)
    await broker.produce(TOPIC, [(b"k", b"%d" % n) for n in range(100, 150)])
    plan = Plan([spec_of()], topics=TOPICS)
    with handlers_kept(), remembered() as asked:
        running = asyncio.create_task(supervisor.run(settings(database, broker), plan, asked.event()))
        await broker.read(OUTPUT, 50)
        os.kill(os.getpid(), signal.SIGTERM)
        assert await asyncio.wait_for(running, 30) is ExitCode.CLEAN
    assert await rows(pool) == list(range(100, 150))
    assert await pool.fetchval("SELECT count(*) FROM sluice_core.batch_outbox") == 0


async def test_a_worker_that_dies_ends_the_process_with_a_fault(database: str, pool: Pool, broker: Broker) -> None:
    await book(pool)
    await broker.create(*TOPICS)
    await broker.produce(TOPIC, [(b"k", b"1")])

    async def buggy(tx: Connection, batch: Batch[int]) -> list[Output]:
        await apply(tx, batch)
        raise KeyError

    code, actions = await process(settings(database, broker), Plan([spec_of(buggy)], publishes=False, topics=TOPICS))
    assert (code, actions) == (ExitCode.FAULT, ["applyfailed"])


@pytest.mark.parametrize(
    "name",
    [
        "inbound",
        "loop inbound",
        "outlet",
        "fetch",
        "watchdog",
        "job expire holds",
        "job end attempts",
        "publisher",
        "compaction repair contacts.changes",
    ],
)
async def test_a_background_task_that_dies_is_told_and_its_service_begins_again(
    database: str, broker: Broker, name: str
) -> None:
    await broker.create(*ALL_TOPICS)
    ready, stop, hold = asyncio.Event(), asyncio.Event(), HoldAt("fenced")
    with capture_logs() as logs:
        running = asyncio.create_task(
            supervisor.run(settings(database, broker), plan_of([ALL]), stop, ready=ready.set, probe=hold)
        )
        await asyncio.wait_for(ready.wait(), 30)
        # The next poll is fetched while a large transaction is under way.
        await broker.produce(TOPIC, [(KEY, message())] * 1_000)
        await asyncio.wait_for(hold.reached.wait(), 30)
        [task, *_] = [task for task in asyncio.all_tasks() if task.get_name() == name]
        task.cancel()
        hold.go.set()
        async with asyncio.timeout(30):
            while not (told := [log["service"] for log in logs if log["action"] == "begun_again"]):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            while REGISTRY.get_sample_value("sluice_service_running", {"service": told[0]}) != 1:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        await broker.read("messages.accepted", 1)
        stop.set()
        assert await asyncio.wait_for(running, 30) is ExitCode.CLEAN
    assert [log["action"] for log in logs if log["log_level"] in ("error", "warning")] == ["fault", "begun_again"]


async def test_connections_that_would_not_do_are_refused_with_the_number_that_would(
    database: str, broker: Broker
) -> None:
    plan = plan_of(["inbound", "commands", "upkeep"])
    few = settings(database, broker).model_copy(update={"database_connections": plan.connections - 1})
    with capture_logs() as logs:
        code = await asyncio.wait_for(supervisor.run(few, plan, asyncio.Event()), 40)
    assert code is ExitCode.SETUP
    assert "SLUICE_DATABASE_CONNECTIONS is 4, but this process needs at least 5" in logs[-2]["event"]


async def test_a_missing_migration_is_told_in_one_line(empty_database: str, broker: Broker) -> None:
    code, actions = await process(settings(empty_database, broker), Plan([spec_of()], topics=TOPICS))
    assert (code, actions) == (ExitCode.SETUP, ["setuperror"])


async def test_a_missing_topic_is_told_in_one_line(database: str, broker: Broker) -> None:
    code, actions = await process(settings(database, broker), Plan([spec_of()], topics=TOPICS))
    assert (code, actions) == (ExitCode.SETUP, ["setuperror"])


async def test_progress_of_another_group_refuses_to_start(database: str, pool: Pool, broker: Broker) -> None:
    await broker.create(*TOPICS)
    await pool.execute(
        "INSERT INTO sluice_core.progress (topic, partition, consumer_group, generation, next_offset) "
        "VALUES ($1, 0, 'other-book', 1, 7)",
        TOPIC,
    )
    code, actions = await process(settings(database, broker), Plan([spec_of()], topics=TOPICS))
    assert (code, actions) == (ExitCode.SETUP, ["setuperror"])


@pytest.mark.parametrize(
    ("partition", "offset", "told"),
    [
        (4, 1, f"{TOPIC}[4] does not exist: the topic has partitions 0 to 3"),
        (2, 4, f"{TOPIC}[2] holds offsets 0 to 3: 4 is outside of that"),
        (1, 1, f"{TOPIC}[1] holds offsets 0 to 0"),
    ],
)
async def test_bad_records_cannot_be_accepted_where_there_are_none(
    database: str, broker: Broker, partition: int, offset: int, told: str
) -> None:
    await broker.create(*TOPICS)
    await broker.produce(TOPIC, [(b"k", b"%d" % n) for n in range(3)], partition=2)
    plan = Plan([spec_of()], topics=TOPICS, accepted_bad={Partition(TOPIC, 2): 3, Partition(TOPIC, partition): offset})
    with capture_logs() as logs:
        code = await asyncio.wait_for(supervisor.run(settings(database, broker), plan, asyncio.Event()), 40)
    assert code is ExitCode.SETUP
    [error] = [log["event"] for log in logs if log["log_level"] == "error"]
    assert error.startswith(f"--accept-bad-until: {told}")


async def test_a_database_that_does_not_answer_is_a_fault(broker: Broker) -> None:
    nowhere = settings("postgresql://nobody@127.0.0.1:1/none", broker, unreachable_after_s=0.5)
    code, actions = await process(nowhere, Plan([spec_of()], topics=TOPICS))
    assert (code, actions) == (ExitCode.FAULT, ["unreachable"])


async def test_a_broker_that_does_not_answer_is_a_fault(database: str) -> None:
    nowhere = settings(database, Broker("embedded", "127.0.0.1:1"), unreachable_after_s=0.5)
    code, actions = await process(nowhere, Plan([spec_of()], topics=TOPICS))
    assert (code, actions) == (ExitCode.FAULT, ["unreachable"])


async def test_jobs_run_when_due_and_their_facts_are_published(database: str, pool: Pool, broker: Broker) -> None:
    await broker.create(*TOPICS)
    rounds: list[datetime] = []

    async def expire(_tx: Connection, now: datetime) -> Sequence[Event] | Unfinished:
        rounds.append(now)
        number = str(len(rounds))
        fact = Event(OUTPUT, b"k", number.encode(), fact_id(OUTPUT, number), "w", now)
        return Unfinished([fact]) if len(rounds) < 3 else [fact]

    stop = asyncio.Event()
    plan = Plan(jobs=[Job("expire", 3600, expire)], topics=TOPICS)
    running = asyncio.create_task(supervisor.run(settings(database, broker), plan, stop))
    published = await broker.read(OUTPUT, 3)
    stop.set()
    assert await asyncio.wait_for(running, 30) is ExitCode.CLEAN
    assert [record.value for record in published] == [b"1", b"2", b"3"]
    assert rounds[2] - rounds[0] < timedelta(seconds=30)
    assert await pool.fetchval("SELECT count(*) FROM sluice_core.outbox") == 0


async def test_a_compacted_topic_gets_the_current_row_and_a_changed_mark_stays(
    database: str, pool: Pool, broker: Broker
) -> None:
    await broker.create(*TOPICS, "contacts.changes")
    await pool.execute("INSERT INTO sluice_core.unpublished_contacts VALUES ('w', gen_random_uuid(), 1)")
    revision, cleared = 1, asyncio.Event()

    async def load(tx: Connection, _limit: int) -> list[Current]:
        now = await tx.fetchval("SELECT now()")
        fact = Event("contacts.changes", b"k", b"%d" % revision, fact_id("c", str(revision)), "w", now)
        return [] if cleared.is_set() else [Current(fact, revision)]

    async def clear(tx: Connection, published: Sequence[Current]) -> None:
        nonlocal revision
        if published[0].mark == revision == 3:
            await tx.execute("DELETE FROM unpublished_contacts")
            cleared.set()
        revision = min(3, revision + 1)

    stop = asyncio.Event()
    plan = Plan(compacted=[CompactedTopic("contacts.changes", load, clear)], topics=TOPICS)
    running = asyncio.create_task(supervisor.run(settings(database, broker), plan, stop))
    await asyncio.wait_for(cleared.wait(), 30)
    stop.set()
    assert await asyncio.wait_for(running, 30) is ExitCode.CLEAN
    assert [record.value for record in await broker.read_all("contacts.changes")] == [b"1", b"2", b"3"]
    assert await pool.fetchval("SELECT count(*) FROM sluice_core.leases WHERE expires_at > now()") == 0


@pytest.mark.parametrize("variable", ["SLUICE_NO_SUCH_THING", "SLUICE_POLL_RECORD"])
def test_an_unknown_variable_refuses_to_start(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "1")
    with pytest.raises(Exception, match=f"{variable} is no setting of Sluice"):
        load_settings()
