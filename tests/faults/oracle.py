"""The promises of docs/delivery.md as assertions, to be checked after any faults."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
from asyncpg import Pool

from schemas.topics import TOPICS
from tests.faults import audit
from tests.faults.audit import Told
from tests.support.brokers import Broker, Read

_COMPACTED: Final = {
    "contacts.changes": """
        SELECT workspace_id || ':' || contact_id AS key, revision FROM sluice_core.contacts WHERE merged_into IS NULL
    """,
    "billing.mac": """
        SELECT workspace_id || ':' || to_char(cycle_start, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS key, revision
        FROM sluice.mac_counts
    """,
}
_REVISED: Final = ("sends.status", "workflows.control")


async def assert_delivered(pool: Pool, broker: Broker, inputs: Sequence[str]) -> None:
    """Every record of the input topics was applied exactly once, and every fact told at least once, in order."""
    await assert_applied_once(pool, broker, inputs)
    facts = await audit.facts(pool)
    topics = [topic for topic, spec in TOPICS.items() if spec.direction == "out" and topic not in _COMPACTED]
    published = {topic: await broker.read_all(topic) for topic in topics}
    assert_told(facts, published)


async def assert_applied_once(pool: Pool, broker: Broker, inputs: Sequence[str]) -> None:
    """The transactions' steps tile every partition, from its first record to its end."""
    reached: dict[tuple[str, int], int] = {}
    for topic, partition, first, next_ in await audit.steps(pool):
        where = (topic, partition)
        assert first == reached.get(where), f"{where}: applied from {first}, but before that {reached.get(where)}"
        reached[where] = next_
    ends = {(topic, p): end for topic in inputs for p, end in (await broker.ends(topic)).items() if end}
    assert reached == ends


def assert_told(facts: Sequence[Told], published: Mapping[str, Sequence[Read]]) -> None:
    """The topics hold the events of the outbox and nothing else; repeats are equal; first ones keep the order."""
    owed: dict[str, dict[UUID, Told]] = defaultdict(dict)
    for fact in facts:
        known = owed[fact.topic].setdefault(fact.ce_id, fact)
        assert (known.key, known.value) == (fact.key, fact.value), f"two facts of one ce_id: {known} {fact}"
    assert_one_id_each(owed)
    for topic, records in published.items():
        first = first_occurrences(records)
        wanted = owed.pop(topic, {})
        assert first.keys() == wanted.keys(), f"{topic}: {len(first)} ids published, {len(wanted)} owed"
        for record in records:
            fact = wanted[_id(record)]
            assert (record.key, record.value) == (fact.key, fact.value), f"{topic}: not what was owed"
        assert_in_order(topic, [f for f in facts if f.topic == topic], first)
        if topic in _REVISED:
            assert_revisions_ascend(topic, first.values())
    left = {topic: len(facts) for topic, facts in owed.items() if facts and topic not in _COMPACTED}
    assert not left, f"never published: {left}"


def assert_one_id_each(owed: Mapping[str, Mapping[UUID, Told]]) -> None:
    """Equal facts have equal ids."""
    for topic, by_id in owed.items():
        seen: dict[tuple[bytes | None, bytes | None], UUID] = {}
        for ce_id, fact in by_id.items():
            if topic != "dead.letters":  # equal garbage at two offsets is two letters
                assert seen.setdefault((fact.key, fact.value), ce_id) == ce_id, f"{topic}: one fact, two ids: {fact}"


def first_occurrences(records: Sequence[Read]) -> dict[UUID, Read]:
    """The first record of each id, in log order within each partition."""
    first: dict[UUID, Read] = {}
    for record in sorted(records, key=lambda r: (r.partition, r.offset)):
        first.setdefault(_id(record), record)
    return first


def assert_in_order(topic: str, facts: Sequence[Told], first: Mapping[UUID, Read]) -> None:
    """Facts of one source and key appear in the order of the outbox."""
    last: dict[tuple[tuple[str, int], bytes | None], tuple[UUID, int]] = {}
    seen: set[UUID] = set()
    for fact in facts:
        if fact.ce_id in seen:
            continue
        seen.add(fact.ce_id)
        where, offset = (fact.source, fact.key), first[fact.ce_id].offset
        assert last.get(where, (fact.ce_id, -1))[1] < offset, f"{topic}: {fact.ce_id} overtook {last[where][0]}"
        last[where] = fact.ce_id, offset


def assert_revisions_ascend(topic: str, records: Any) -> None:
    """First occurrences of one key carry ascending revisions; of one state of a run equal ones."""
    again = 0 if topic == "workflows.control" else 1
    last: dict[bytes | None, int] = {}
    for record in records:
        revision = msgspec.json.decode(record.value)["revision"]
        assert revision >= last.get(record.key, 0) + again, (
            f"{topic}: {record.key!r} says {revision} after {last[record.key]}"
        )
        last[record.key] = revision


async def assert_compacted(pool: Pool, broker: Broker, timeout_s: float = 60.0) -> None:
    """Compacted topics end with the newest revision of every row; what a zombie wrote late is repaired in a while."""
    for topic, question in _COMPACTED.items():
        deadline = asyncio.get_running_loop().time() + timeout_s
        while True:
            rows = {row["key"]: row["revision"] for row in await pool.fetch(question)}
            shown = _newest(await broker.read_all(topic))
            if shown == rows:
                break
            wrong = {
                key: (rows.get(key), shown.get(key)) for key in rows.keys() | shown if rows.get(key) != shown.get(key)
            }
            assert asyncio.get_running_loop().time() < deadline, (
                f"{topic}: (row, record) {dict(list(wrong.items())[:5])}"
            )
            await asyncio.sleep(0.5)


def _newest(records: Sequence[Read]) -> dict[str, int]:
    last = {(record.key or b"").decode(): record for record in sorted(records, key=lambda r: (r.partition, r.offset))}
    return {key: msgspec.json.decode(record.value)["revision"] for key, record in last.items() if record.value}


def _id(record: Read) -> UUID:
    return UUID((record.header("ce_id") or b"").decode())
