"""Compaction repair corrects what a late writer appended to a compacted topic, and nothing else."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from asyncpg import Pool
from hypothesis import given
from hypothesis import strategies as st

from tests.support.brokers import PATIENCE_S, Broker, Read
from tests.support.databases import until
from tests.support.processes import at_work, hurried
from tests.workers.records import WORKSPACE, batch, message
from workers.app.composition import plan_of
from workers.app.supervisor import Plan
from workers.contacts import changes_topic
from workers.messages import worker as inbound
from workers.services.compaction_repair import Last, behind, outdated

pytestmark = pytest.mark.usefixtures("_cycles_stay_open")

CONTACTS, COUNTS = "contacts.changes", "billing.mac"
CYCLE = f"{WORKSPACE}:2026-03-01T00:00:00Z".encode()
RAN = "SELECT EXISTS (SELECT FROM sluice_core.leases WHERE name = $1 AND last_run_at > $2)"


def of(worker: str) -> Plan:
    return hurried(plan_of([worker]), 0.2)


async def somebody_wrote(pool: Pool) -> bytes:
    """The key of a contact who wrote; both compacted topics have something to say of it."""
    async with pool.acquire() as tx, tx.transaction():
        await inbound.apply(tx, batch(message()))
        contact_id: UUID = await tx.fetchval("SELECT contact_id FROM contacts")
    return f"{WORKSPACE}:{contact_id}".encode()


async def last_of(broker: Broker, topic: str, key: bytes) -> Read | None:
    found = [record for record in await broker.read_all(topic) if record.key == key]
    return max(found, key=lambda record: record.offset, default=None)


async def until_last(broker: Broker, topic: str, key: bytes, wanted: Callable[[Read], bool]) -> Read:
    """Waits until the last record of a key is as wanted."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            last = await last_of(broker, topic, key)
            if last is not None and wanted(last):
                return last
            await asyncio.sleep(0.05)


async def rounds(pool: Pool, topic: str, count: int) -> None:
    """Waits for some more rounds of the topic's compaction repair."""
    for _ in range(count):
        await until(pool, RAN, f"compaction repair {topic}", await pool.fetchval("SELECT now()"))


def revision(record: Read) -> int:
    found: int = json.loads(record.value or b"{}").get("revision", -1)
    return found


@pytest.mark.parametrize("late", ["older", "tombstone", "unreadable"])
async def test_the_last_record_of_a_contact_is_its_newest_revision(
    database: str, pool: Pool, any_broker: Broker, late: str
) -> None:
    key = await somebody_wrote(pool)
    async with at_work(database, any_broker, of("upkeep")):
        newest = await until_last(any_broker, CONTACTS, key, lambda _: True)
        older = json.dumps({"revision": revision(newest) - 1}).encode()
        late_value = {"older": older, "tombstone": None, "unreadable": b"{"}[late]
        await any_broker.produce(CONTACTS, [(key, late_value)])
        repaired = await until_last(any_broker, CONTACTS, key, lambda r: r.offset > newest.offset + 1)
    assert repaired.value == newest.value
    assert repaired.header("ce_id") == newest.header("ce_id")


async def test_a_record_of_a_contact_that_is_gone_is_followed_by_a_tombstone(
    database: str, pool: Pool, any_broker: Broker
) -> None:
    gone = f"{WORKSPACE}:{uuid4()}".encode()
    async with at_work(database, any_broker, of("upkeep")):
        await any_broker.produce(CONTACTS, [(gone, None), (gone, b'{"revision":7}')])
        last = await until_last(any_broker, CONTACTS, gone, lambda r: r.value is None and r.offset > 1)
    assert last.header("ce_type") == b"sluice.contacts.changes"
    assert await pool.fetchval("SELECT count(*) FROM sluice_core.unpublished_contacts") == 0


async def test_the_last_record_of_a_cycle_is_its_newest_revision_or_a_tombstone(
    database: str, pool: Pool, any_broker: Broker
) -> None:
    await somebody_wrote(pool)
    vanished = f"{WORKSPACE}:2020-01-01T00:00:00Z".encode()
    async with at_work(database, any_broker, of("billing")):
        newest = await until_last(any_broker, COUNTS, CYCLE, lambda _: True)
        older = json.dumps({"revision": revision(newest) - 1}).encode()
        await any_broker.produce(COUNTS, [(CYCLE, older), (vanished, b'{"revision":3}')])
        repaired = await until_last(
            any_broker, COUNTS, CYCLE, lambda r: r.offset > newest.offset and r.value == newest.value
        )
        await until_last(any_broker, COUNTS, vanished, lambda r: r.value is None)
    assert repaired.value == newest.value


async def test_what_is_as_it_should_be_is_left_alone(database: str, pool: Pool, any_broker: Broker) -> None:
    key = await somebody_wrote(pool)
    foreign: list[tuple[bytes | None, bytes | None]] = [
        (b"no key of ours", b"1"), (b"acme:\xff", b"1"), (None, b"1"), (f"acme:{uuid4()}".encode(), None),
    ]  # fmt: skip
    async with at_work(database, any_broker, of("upkeep")):
        newest = await until_last(any_broker, CONTACTS, key, lambda _: True)
        await any_broker.produce(CONTACTS, [*foreign, (key, newest.value)])
        await rounds(pool, CONTACTS, 4)
    assert len(await any_broker.read_all(CONTACTS)) == 2 + len(foreign)
    ends = await any_broker.ends(CONTACTS)
    stored = await pool.fetch(
        "SELECT partition, next_offset FROM sluice_core.compaction_positions WHERE topic = $1", CONTACTS
    )
    assert {row["partition"]: row["next_offset"] for row in stored} == ends


async def test_a_doubt_outlives_the_process_that_had_it(database: str, pool: Pool, broker: Broker) -> None:
    key = await somebody_wrote(pool)
    slow = replace(hurried(plan_of(["upkeep"]), 3600), compacted=())  # a single round, and nothing is published
    await broker.create(*slow.topics)
    [late] = await broker.produce(CONTACTS, [(key, b'{"revision":0}')])
    async with at_work(database, broker, slow):
        await until(pool, "SELECT count(*) > 0 FROM sluice_core.compaction_positions")
    position = "SELECT next_offset FROM sluice_core.compaction_positions WHERE partition = $1"
    assert await pool.fetchval(position, late.partition) == late.offset
    async with at_work(database, broker, of("upkeep")):
        await until_last(broker, CONTACTS, key, lambda r: revision(r) > 0)
        await until(pool, f"SELECT ({position}) > $2", late.partition, late.offset)


async def test_a_publication_under_way_does_not_clear_the_mark_of_a_repair(pool: Pool) -> None:
    key = changes_topic.read(await somebody_wrote(pool))
    assert key is not None
    async with pool.acquire() as tx:
        before = await changes_topic.load(tx, 10)
        await changes_topic.CONTACTS_REPAIR.mark(tx, [key])
        await changes_topic.clear(tx, before)
        [again] = await changes_topic.load(tx, 10)
        assert (again.event.ce_id, again.event.value) == (before[0].event.ce_id, before[0].event.value)
        await changes_topic.clear(tx, [again])
        assert await changes_topic.load(tx, 10) == []


REVISIONS = st.none() | st.integers(min_value=0, max_value=5)


@given(REVISIONS, REVISIONS)
def test_what_is_published_for_a_key_in_doubt_ends_the_doubt(last: int | None, row: int | None) -> None:
    assert not outdated(row, row)
    assert outdated(last, row) == (last != row and not (last is not None and row is not None and last > row))


@given(st.dictionaries(st.integers(0, 3), st.integers(0, 50), min_size=1), st.data())
def test_positions_stay_behind_every_key_in_doubt(read: dict[int, int], data: st.DataObject) -> None:
    one = st.tuples(st.sampled_from(sorted(read)), st.integers(0, 50), st.none())
    suspects = [Last(*d) for d in data.draw(st.lists(one)) if d[1] < read[d[0]]]
    kept = behind(read, suspects)
    assert kept.keys() == read.keys()
    assert all(kept[d.partition] <= d.offset for d in suspects)
    assert all(kept[p] == offset for p, offset in read.items() if p not in {d.partition for d in suspects})
