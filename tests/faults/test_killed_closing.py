"""SIGKILL to `billing` again and again while cycles close: each is closed once, by the facts on time, and late facts
become adjustments once.
"""

import asyncio
import random
import signal
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from tests.acceptance.making import Json, Maker, wire
from tests.cli.commands import Sluice
from tests.faults import families, traffic
from tests.faults.closing_facts import APRIL, FIRST, GRACE, HOUR, LATE, MARCH, PARTS, Fact, facts_of, figures, record_of
from tests.faults.process import Fault
from tests.faults.stage import Stage
from tests.support.databases import until
from workers.errors import ExitCode

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

ALONE: Final = [f"+49151120000{n:02}" for n in range(45)]
CROWD: Final = [f"+4915115000{n:03}" for n in range(200)]
TENANTS: Final = 10
PAIRS: Final = [(f"+49151130000{n:02}", f"+49151140000{n:02}") for n in range(15)]
TIMES: Final = {"message.timestamp.type": "CreateTime", "retention.ms": "-1"}
"""The facts have the times of months ago."""

SHORT: Final = {"FAULT_STEPS": "short", "FAULT_HURRY": "0.1"}
PATIENCE_S: Final = 15.0
POINTS: Final = (
    "sql SET settled = true",
    "sql FOR SHARE",
    "sql SET status = 'closed'",
    "sql INSERT INTO mac_adjustments",
    "sql DELETE FROM late_facts",
    "acknowledged",
)
"""Where one of two dies, each time. The other one dies after any number of statements."""

RELEASE: Final = """
UPDATE sluice_core.leases SET expires_at = '-infinity' WHERE owner LIKE '%/' || $1::text || '/%'
"""
"""The jobs of a dead process need not wait for its leases."""

BEGUN: Final = "SELECT count(*) >= $1 FROM sluice_core.mac_shards"
DONE: Final = """
SELECT NOT EXISTS (
    SELECT FROM sluice_core.mac_cycles WHERE status = 'open' AND cycle_end + interval '73 hours' < now()
) AND NOT EXISTS (SELECT FROM sluice_core.late_facts) AND NOT EXISTS (SELECT FROM sluice_core.pending_work)
    AND NOT EXISTS (SELECT FROM sluice_core.unpublished_cycles)
"""
FIGURES: Final = """
SELECT workspace_id, cycle_start, closed_contacts, active_contacts + adjustments AS total
FROM sluice.mac_counts JOIN sluice_core.mac_cycles USING (workspace_id, cycle_start)
WHERE closed_contacts > 0 OR active_contacts + adjustments <> 0
"""
DIFFERENT: Final = """
SELECT c.workspace_id, c.cycle_start, c.closed_contacts, s.counted, p.proofs FROM sluice_core.mac_cycles c
CROSS JOIN LATERAL (
    SELECT coalesce(sum(active_contacts), 0) AS counted FROM sluice_core.mac_shards
    WHERE workspace_id = c.workspace_id AND cycle_start = c.cycle_start
) AS s
CROSS JOIN LATERAL (
    SELECT count(*) AS proofs FROM sluice_core.mac_contacts
    WHERE workspace_id = c.workspace_id AND cycle_start = c.cycle_start
) AS p
WHERE c.status = 'closed' AND (c.closed_contacts IS DISTINCT FROM s.counted OR c.closed_contacts <> p.proofs)
"""
NETS: Final = """
SELECT workspace_id, cycle_start, contact_id, sum(amount) FROM sluice_core.mac_adjustments
GROUP BY 1, 2, 3 HAVING sum(amount) NOT IN (-1, 0, 1)
"""
TWICE: Final = """
SELECT workspace_id, cycle_start, contact_id, fact_id, count(*) FROM sluice_core.mac_adjustments
GROUP BY 1, 2, 3, 4 HAVING count(*) > 1
"""
SHOWN: Final = """
SELECT workspace_id || ':' || to_char(cycle_start, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS key,
    active_contacts, adjustments, status, revision
FROM sluice.mac_counts
"""


class Scene(NamedTuple):
    """A workspace and its facts. `at_once`: blocks exclude at once."""

    maker: Maker
    facts: list[Fact]
    at_once: bool


async def with_own_times(set_: Stage) -> None:
    """The input topics keep the producer's timestamps, and their records, however old."""
    admin = AIOKafkaAdminClient(bootstrap_servers=set_.broker.bootstrap)
    await admin.start()
    try:
        topics = [set_.broker.topic_prefix + topic for topic in traffic.INPUTS]
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, TIMES) for topic in topics])
    finally:
        await admin.close()


async def give(set_: Stage, scenes: Iterable[Scene], begin: datetime, end: datetime) -> None:
    """Produces what is known in this time, in the order of Kafka."""
    records: list[tuple[datetime, Json]] = []
    for maker, facts, at_once in scenes:
        ids = await families.known(set_.pool, maker, [who for pair in PAIRS for who in pair])
        records += [(f.known, record_of(maker, f, ids)) for f in facts if begin <= f.known < end]
        if at_once and begin == FIRST:
            setting = {"mac_block_effect": "immediate"}
            records.append((FIRST, maker.command("configure_workspace", set=setting, at=FIRST)))
    await produce(set_, records)


async def produce(set_: Stage, records: Iterable[tuple[datetime, Json]]) -> None:
    """Gives records the Kafka timestamps that stand before them, the earliest first."""
    async with set_.broker.producer(linger_ms=5) as producer:
        for known, fact in sorted(records, key=lambda r: r[0]):
            topic, key, value = wire(fact)
            at_ms = int(known.timestamp() * 1000)
            await producer.send(set_.broker.topic_prefix + topic, value, key, timestamp_ms=at_ms)


async def dies(set_: Stage, fault: Fault) -> bool:
    """Lets a billing worker work until it kills itself. Returns whether it got there; otherwise it is killed."""
    victim = await set_.fork("billing", fault=fault, **SHORT)
    try:
        await victim.ended(PATIENCE_S)
    except AssertionError:
        victim.send(signal.SIGKILL)
        await victim.ended()
        return False
    finally:
        await set_.pool.execute(RELEASE, str(victim.pid))
    assert victim.code == -signal.SIGKILL, victim.tail()
    return True


async def test_billing_killed_again_and_again_while_cycles_close(
    everything: Stage, tmp_path: Path, database: str
) -> None:
    dice = random.Random(20_250_401)  # noqa: S311 - nothing secret
    scenes = [Scene(Maker(name), facts_of(dice, ALONE, PAIRS), name == "beta") for name in ("alpha", "beta", "gamma")]
    await with_own_times(everything)
    [worker] = await everything.fork_ready("commands,upkeep")
    [inbound] = await everything.fork_ready("inbound")
    for begin, end in zip((FIRST, *PARTS), (*PARTS, LATE[0] + 3 * HOUR), strict=True):
        await give(everything, scenes, begin, end)
        await everything.broker.caught_up(everything.pool, "contacts.commands")
        if inbound.code is None:
            await everything.broker.caught_up(everything.pool, "messages.inbound")
        if end == PARTS[2]:
            # What is on time from here on is judged together with commands that are late.
            assert await inbound.stop() == 0
    inbound = await everything.fork("inbound")

    begin = LATE[0]
    for day, point in zip(LATE, POINTS, strict=True):
        await give(everything, scenes, begin + 3 * HOUR, day + 3 * HOUR)
        begin = day
        others = Fault("sql ", dice.randrange(60, 250))
        assert (await asyncio.gather(dies(everything, Fault(point)), dies(everything, others)))[0], point
        await everything.broker.caught_up(everything.pool, *traffic.INPUTS)
    two = [await everything.fork("billing", fault=None, **SHORT) for _ in range(2)]
    await until(everything.pool, DONE, timeout_s=60)

    found = {(w, start): (closed, total) for w, start, closed, total in await everything.pool.fetch(FIGURES)}
    assert found == {
        (maker.id, start): both
        for maker, facts, at_once in scenes
        for start, both in figures(facts, at_once=at_once).items()
    }
    await assert_right(everything, tmp_path, database)
    assert await everything.stop(worker, inbound, *two) == [0, 0, 0, 0]


async def test_billing_killed_while_it_closes_cycles_by_command_in_the_midst_of_their_messages(
    everything: Stage, tmp_path: Path, database: str
) -> None:
    dice, makers = random.Random(1), [Maker(f"w{n}") for n in range(TENANTS)]  # noqa: S311 - nothing secret
    await with_own_times(everything)
    workers = await everything.fork_ready("inbound,commands,upkeep")
    times = sorted(MARCH + dice.random() * 30 * 24 * HOUR for _ in range(TENANTS * len(CROWD)))
    people = [(maker, who) for who in CROWD for maker in makers]
    sent = [(at, maker.message(at=at, address=who)) for at, (maker, who) in zip(times, people, strict=True)]
    orders = [maker.command("close_cycle", cycle_start=MARCH, reason="slow", at=APRIL + GRACE) for maker in makers]
    closing = asyncio.create_task(dies(everything, Fault("sql SET status = 'closed'", 2)))
    await produce(everything, sent)
    await until(everything.pool, BEGUN, TENANTS)
    await produce(everything, ((APRIL + GRACE, order) for order in orders))
    assert await closing
    workers.append(await everything.fork("billing", fault=None, **SHORT))
    await everything.broker.caught_up(everything.pool, *traffic.INPUTS)
    await until(everything.pool, DONE)

    found = await everything.pool.fetch(FIGURES)
    assert [row["total"] for row in found] == [len(CROWD)] * TENANTS
    assert any(0 < row["closed_contacts"] < len(CROWD) for row in found)
    await assert_right(everything, tmp_path, database)
    assert await everything.stop(*workers) == [0, 0]


async def assert_right(set_: Stage, folder: Path, database: str) -> None:
    """Nothing that is stored or published about cycles contradicts the rest, and `sluice mac verify` agrees."""
    for question in (DIFFERENT, NETS, TWICE):
        assert list(map(tuple, await set_.pool.fetch(question))) == []
    await assert_shown(set_)
    verified = await asyncio.to_thread(Sluice(folder, DATABASE_URL=database).run, "mac", "verify")
    assert verified.code == ExitCode.CLEAN, verified.out


async def assert_shown(set_: Stage) -> None:
    """The last record of each cycle is its row; what a dead process published late is repaired in a while."""
    rows = {key: tuple(row) for key, *row in await set_.pool.fetch(SHOWN)}
    async with asyncio.timeout(30):
        while await last_records(set_) != rows:  # noqa: ASYNC110 - a topic has no event to wait for
            await asyncio.sleep(0.2)


async def last_records(set_: Stage) -> dict[str, tuple[int, int, str, int]]:
    shown = {}
    for record in sorted(await set_.broker.read_all("billing.mac"), key=lambda r: (r.partition, r.offset)):
        value = msgspec.json.decode(record.value or b"")
        figures_ = value["active_contacts"], value["adjustments"], value["status"], value["revision"]
        shown[(record.key or b"").decode()] = figures_
    return shown
