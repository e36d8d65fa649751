"""The loop's laws, over the embedded broker and over Apache Kafka."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from asyncpg import Pool
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from tests.runtime.ledgerbook import OUTPUT, TOPIC, apply, book, rows, spec_of
from tests.support.brokers import Broker, Read
from tests.support.databases import until
from tests.support.probes import Crash, CrashAt, HoldAt
from tests.support.workers import running
from workers.errors import ApplyFailed, ExitCode, RetryBatch, Unreachable
from workers.kafka.connection import PollLimits
from workers.kafka.producer import KafkaOutput
from workers.records import Batch, Event, Output, Partition
from workers.store.connection import Connection


def records(first: int, last: int) -> list[tuple[bytes | None, bytes | None]]:
    """Numbers as records, on seven keys."""
    return [(b"k%d" % (n % 7), b"%d" % n) for n in range(first, last)]


def numbers(read: list[Read]) -> list[int]:
    return sorted(int(record.value or b"") for record in read)


@pytest.fixture
async def booked(pool: Pool) -> Pool:
    await book(pool)
    return pool


async def test_every_record_is_applied_once_and_every_output_published(
    database: str, booked: Pool, any_broker: Broker
) -> None:
    async with running(spec_of(), database, any_broker) as worker:
        await any_broker.produce(TOPIC, records(100, 600))
        await any_broker.caught_up(booked, TOPIC)
        published = await any_broker.read(OUTPUT, 500)
        assert await worker.stop() is ExitCode.CLEAN
    assert await rows(booked) == list(range(100, 600))
    assert numbers(published) == list(range(100, 600))


async def test_outputs_carry_cloud_events_headers_and_the_trace_of_their_input(
    database: str, booked: Pool, broker: Broker
) -> None:
    trace = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with running(spec_of(), database, broker):
        await broker.produce(TOPIC, records(1, 2), headers=[("traceparent", trace)])
        [output] = await broker.read(OUTPUT, 1)
    assert output.header("ce_specversion") == b"1.0"
    assert output.header("ce_type") == b"sluice.messages.accepted"
    assert output.header("ce_source") == b"/sluice/w"
    assert output.header("traceparent") == trace
    assert await booked.fetchval("SELECT count(*) FROM book") == 1


@pytest.mark.parametrize("point", ["fenced", "before_commit", "committed", "published", "offsets_committed"])
async def test_a_crash_at_any_point_loses_and_repeats_nothing(
    database: str, booked: Pool, any_broker: Broker, point: str
) -> None:
    await any_broker.create(TOPIC, OUTPUT)
    await any_broker.produce(TOPIC, records(100, 200))
    with pytest.raises(Crash):
        async with running(spec_of(), database, any_broker, probe=CrashAt(point)) as worker:
            await worker.ended()
    async with running(spec_of(), database, any_broker):
        await any_broker.caught_up(booked, TOPIC)
        published = await any_broker.read_all(OUTPUT)
    assert await rows(booked) == list(range(100, 200))
    by_id = {record.header("ce_id"): record.value for record in published}
    assert sorted(int(value or b"") for value in by_id.values()) == list(range(100, 200))


async def test_what_a_crashed_owner_owed_is_published_by_the_next_one_with_the_same_ids(
    database: str, booked: Pool, any_broker: Broker
) -> None:
    await any_broker.create(TOPIC, OUTPUT)
    await any_broker.produce(TOPIC, records(100, 120), partition=0)
    with pytest.raises(Crash):
        async with running(spec_of(), database, any_broker, probe=CrashAt("published")) as worker:
            await worker.ended()
    async with running(spec_of(), database, any_broker):
        published = await any_broker.read(OUTPUT, 40)
    ids = Counter(record.header("ce_id") for record in published)
    assert set(ids.values()) == {2}
    assert await rows(booked) == list(range(100, 120))


async def test_outputs_of_a_key_keep_their_order(database: str, booked: Pool, any_broker: Broker) -> None:
    limits = PollLimits(records=10, wait_ms=100, fetch_max_wait_ms=20)
    async with running(spec_of(), database, any_broker, limits=limits):
        await any_broker.produce(TOPIC, [(b"one", b"%d" % n) for n in range(100, 400)])
        published = await any_broker.read(OUTPUT, 300)
    assert [int(record.value or b"") for record in published] == list(range(100, 400))
    assert await booked.fetchval("SELECT count(*) FROM book") == 300


async def test_offsets_are_committed_only_for_what_is_published(
    database: str, booked: Pool, any_broker: Broker
) -> None:
    hold = HoldAt("published")
    group = f"{any_broker.group_prefix}-book"
    async with running(spec_of(), database, any_broker, probe=hold):
        await any_broker.produce(TOPIC, records(100, 110), partition=1)
        await asyncio.wait_for(hold.reached.wait(), 30)
        assert await rows(booked) == list(range(100, 110))
        assert (await any_broker.committed(group, TOPIC)).get(1, 0) == 0
        hold.go.set()
        await any_broker.caught_up(booked, TOPIC)
    assert (await any_broker.committed(group, TOPIC))[1] == 10


async def test_at_most_two_polls_are_owed(database: str, booked: Pool, broker: Broker) -> None:
    hold = HoldAt("published")
    limits = PollLimits(records=1, wait_ms=100, fetch_max_wait_ms=20)
    async with running(spec_of(), database, broker, probe=hold, limits=limits):
        await broker.produce(TOPIC, records(100, 120), partition=1)
        await asyncio.wait_for(hold.reached.wait(), 30)
        await until(booked, "SELECT count(*) = 2 FROM sluice_core.batch_outbox")
        for _ in range(50):
            assert await booked.fetchval("SELECT count(*) FROM sluice_core.batch_outbox") == 2
        hold.go.set()
        await broker.caught_up(booked, TOPIC)
    assert await rows(booked) == list(range(100, 120))


async def test_a_record_the_database_refuses_is_a_dead_letter_and_holds_nothing_up(
    database: str, booked: Pool, any_broker: Broker
) -> None:
    async with running(spec_of(), database, any_broker):
        await any_broker.produce(TOPIC, records(0, 40), partition=2, headers=[("theirs", b"x")])
        await any_broker.caught_up(booked, TOPIC)
        [letter] = await any_broker.read("dead.letters", 1)
    assert await rows(booked) == [n for n in range(40) if n != 13]
    assert letter.value == b"13"
    assert [name for name, _ in letter.headers[:5]] == [
        "error", "source_topic", "source_partition", "source_offset", "theirs",
    ]  # fmt: skip
    assert letter.header("source_topic") == TOPIC.encode()
    assert (letter.header("source_partition"), letter.header("source_offset")) == (b"2", b"13")
    row = await booked.fetchrow("SELECT * FROM sluice.dead_letters")
    assert row is not None
    assert (row["source_partition"], row["source_offset"], row["status"], row["attempts"]) == (2, 13, "new", 1)
    assert "23514" in row["error"]


@pytest.mark.parametrize("value", [None, b"", b"no number", b"9" * 300_000, b"9" * 600_000])
async def test_what_cannot_be_understood_is_a_dead_letter(
    database: str, booked: Pool, broker: Broker, value: bytes | None
) -> None:
    async with running(spec_of(), database, broker):
        await broker.produce(TOPIC, [(b"k", b"1"), (b"k", value), (b"k", b"2")])
        await broker.caught_up(booked, TOPIC)
        [letter] = await broker.read("dead.letters", 1)
    assert await rows(booked) == [1, 2]
    if value is None or len(value) <= 512 * 1024:
        assert letter.value == value
        assert await booked.fetchval("SELECT value FROM sluice_core.dead_letters") == value
    else:
        assert letter.value is not None
        assert b'"size":600000' in letter.value
    assert letter.key == b"k"


async def test_keys_that_are_missing_or_of_no_workspace_are_accepted_and_counted(
    database: str, booked: Pool, broker: Broker
) -> None:
    def counted() -> list[float]:
        kinds = ("without", "with_unexpected")
        labels = {"worker": "routed", "topic": TOPIC}
        return [REGISTRY.get_sample_value(f"sluice_records_{kind}_key_total", labels) or 0.0 for kind in kinds]

    spec = replace(spec_of(), name="routed", key_begins=lambda value: b"acme:" if value < 4 else b"other:")
    async with running(spec, database, broker):
        keys = [b"acme:1", None, b"other:3", b"other:4", b"\xff"]
        await broker.produce(TOPIC, [(key, b"%d" % n) for n, key in enumerate(keys, 1)])
        await broker.caught_up(booked, TOPIC)
    assert await rows(booked) == [1, 2, 3, 4, 5]
    assert counted() == [1, 2]


async def test_a_conflict_runs_the_batch_again(database: str, booked: Pool, broker: Broker) -> None:
    tries = 0

    async def stubborn(tx: Connection, batch: Batch[int]) -> list[Output]:
        nonlocal tries
        tries += 1
        outputs = await apply(tx, batch)
        if tries < 4:
            raise RetryBatch("somebody was faster")
        return outputs

    async with running(spec_of(stubborn), database, broker):
        await broker.produce(TOPIC, records(100, 110), partition=0)
        await broker.caught_up(booked, TOPIC)
    assert await rows(booked) == list(range(100, 110))
    assert tries >= 4


async def test_a_bug_stops_the_worker_and_names_the_offsets(database: str, booked: Pool, broker: Broker) -> None:
    async def buggy(tx: Connection, batch: Batch[int]) -> list[Output]:
        await apply(tx, batch)
        return [1 // 0]  # type: ignore[list-item]

    await broker.create(TOPIC)
    await broker.produce(TOPIC, records(100, 110), partition=3)
    with pytest.raises(ApplyFailed, match=r"book: ZeroDivisionError .*messages.inbound\[3\] offsets 0 to 9"):
        async with running(spec_of(buggy), database, broker) as worker:
            await worker.ended()
    assert await rows(booked) == []


async def test_a_lost_connection_during_commit_is_no_second_application(
    database: str, booked: Pool, broker: Broker
) -> None:
    killed = 0

    async def commit_then_die(point: str) -> None:
        nonlocal killed
        if point == "before_commit" and killed < 2:
            killed += 1
            ended = "SELECT pg_terminate_backend(backend_pid) FROM sluice_core.progress WHERE lease IS NOT NULL LIMIT 1"
            await booked.fetch(ended)

    async with running(spec_of(), database, broker, probe=commit_then_die):
        await broker.produce(TOPIC, records(100, 150))
        await broker.caught_up(booked, TOPIC)
    assert killed == 2
    assert await rows(booked) == list(range(100, 150))


async def test_a_clean_stop_hands_everything_over(database: str, booked: Pool, any_broker: Broker) -> None:
    async with running(spec_of(), database, any_broker) as worker:
        await any_broker.produce(TOPIC, records(100, 300))
        await until(booked, "SELECT count(*) > 0 FROM book")
        assert await worker.stop() is ExitCode.CLEAN
    assert await booked.fetchval("SELECT count(*) FROM sluice_core.batch_outbox") == 0
    assert await booked.fetchval("SELECT count(*) FROM sluice_core.progress WHERE lease IS NOT NULL") == 0
    applied = await rows(booked)
    assert numbers(await any_broker.read_all(OUTPUT)) == applied


async def test_nothing_is_fetched_any_more_once_publishing_has_failed(
    database: str, booked: Pool, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_output: KafkaOutput, _facts: Sequence[Event]) -> None:
        await asyncio.sleep(0.2)
        raise Unreachable("nothing is acknowledged")

    monkeypatch.setattr(KafkaOutput, "publish", refuse)
    async with running(spec_of(), database, broker) as worker:
        await broker.produce(TOPIC, records(100, 101))
        with pytest.raises(Unreachable, match="nothing is acknowledged"):
            await worker.ended()
        assert [task for task in asyncio.all_tasks() if task.get_name() == "fetch"] == []
    assert await rows(booked) == [100]


async def test_the_line_stops_and_nothing_past_it_is_committed(database: str, booked: Pool, any_broker: Broker) -> None:
    await any_broker.create(TOPIC)
    good, bad = records(100, 150), [(b"k", b"bad")] * 300
    await any_broker.produce(TOPIC, [*good, *bad, *records(200, 300)], partition=0)
    with capture_logs() as logs:
        async with running(spec_of(), database, any_broker) as worker:
            assert await worker.ended() is ExitCode.STOPPED_THE_LINE
    [told] = [log["event"] for log in logs if log["action"] == "bad_record_limit"]
    assert "halts before messages.inbound[0] offset 249: at least 200 of its last 400 records" in told
    assert "--accept-bad-until messages.inbound/0/250" in told
    # Before the 200th bad record: 50 good ones and 199 bad ones.
    assert await booked.fetchval("SELECT next_offset FROM sluice.partition_progress WHERE partition = 0") == 249
    assert (await any_broker.committed(f"{any_broker.group_prefix}-book", TOPIC))[0] == 249
    assert await booked.fetchval("SELECT count(*) FROM sluice.dead_letters") == 199
    assert await rows(booked) == list(range(100, 150))


async def test_a_restart_does_not_let_the_stopped_line_run_on(database: str, booked: Pool, broker: Broker) -> None:
    await broker.create(TOPIC)
    await broker.produce(TOPIC, [(b"k", b"bad")] * 300, partition=0)
    for _ in range(2):
        async with running(spec_of(), database, broker) as worker:
            assert await worker.ended() is ExitCode.STOPPED_THE_LINE
        assert await booked.fetchval("SELECT count(*) FROM sluice.dead_letters") == 199


async def test_the_line_goes_on_where_a_person_accepted_the_bad_ones(
    database: str, booked: Pool, broker: Broker
) -> None:
    await broker.create(TOPIC)
    await broker.produce(TOPIC, [*[(b"k", b"bad")] * 300, *records(100, 150)], partition=0)
    async with running(spec_of(), database, broker) as worker:
        assert await worker.ended() is ExitCode.STOPPED_THE_LINE

    async with running(spec_of(), database, broker, accepted_bad={Partition(TOPIC, 0): 300}) as worker:
        await broker.caught_up(booked, TOPIC)
        await broker.produce(TOPIC, [(b"k", b"bad")] * 300, partition=0)
        assert await worker.ended() is ExitCode.STOPPED_THE_LINE

    assert await rows(booked) == list(range(100, 150))
    assert await booked.fetchval("SELECT next_offset FROM sluice.partition_progress WHERE partition = 0") == 549
    assert len(await broker.read_all("dead.letters")) == 499


async def test_polls_are_bounded_in_bytes(database: str, booked: Pool, broker: Broker) -> None:
    sizes: list[int] = []

    async def measuring(tx: Connection, batch: Batch[int]) -> list[Output]:
        sizes.append(len(batch.records))
        return await apply(tx, batch)

    limits = PollLimits(bytes=1_000, wait_ms=100, fetch_max_wait_ms=20)
    await broker.create(TOPIC)
    await broker.produce(TOPIC, [(b"k", b"0" * 99 + b"%d" % (n % 10)) for n in range(100)])
    async with running(spec_of(measuring), database, broker, limits=limits):
        await broker.caught_up(booked, TOPIC)
    assert sum(sizes) == 100
    assert max(sizes) <= 10
