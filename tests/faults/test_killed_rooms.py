"""SIGKILL after every single statement of a real worker's transaction: the poll is applied completely or not at all."""

import asyncio
import signal
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Final
from uuid import uuid4

import msgspec
import pytest

from schemas.topics import TOPICS
from tests.acceptance.making import Json, Maker, at, identity, key_of, topic_of
from tests.faults import families, oracle, traffic
from tests.faults.process import Fault
from tests.faults.stage import Stage, stage
from tests.faults.world import World, assert_same, world
from tests.support.brokers import PATIENCE_S, Broker
from tests.support.databases import Databases
from tests.support.kafka import KafkaServer
from workers.app.composition import WORKERS
from workers.process.tasks import ended

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

ROOMS: Final = ("inbound", "commands", "outbound", "workflows")
FEWEST: Final = 10
"""Statements of a poll; fewer would mean that nothing was watched."""

SELDOM: Final = 8
"""Statements between two deaths, where a poll has very many."""

RELEASE: Final = """
UPDATE sluice_core.progress SET lease = NULL, orphaned = false, tried_until = NULL, tried_times = 0
WHERE topic = ANY ($1)
"""
"""Each victim gets the whole poll. The next owner after a crash would try record by record, and set records aside."""

Facts = Sequence[Json]


def address(number: int) -> str:
    return f"+4915110000{number:02}"


def before(maker: Maker) -> list[Facts]:
    """What is there already, part by part. The people of each worker's poll are different ones."""
    who = [identity(address(n)) for n in range(50)]
    held, sent = (maker.send(at=at(5), send_id=str(uuid4()), to={"address": address(n)}) for n in (20, 31))
    return [
        [maker.message(at=at(0), address=address(n), provider_message_id=f"first-{n}") for n in range(50)],
        [
            maker.command("configure_workspace", set={"time_zone": "Europe/Berlin"}, at=at(1)),
            maker.command("define_status", name="vip", protected=True, at=at(1)),
            maker.command("create_profile", profile_id="p", name="Profile", at=at(1)),
        ],
        [
            maker.command("set_profile_status", profile_id="p", status="vip", at=at(2)),
            *(maker.command("attach_contact", identity=who[n], profile_id="p", at=at(2)) for n in (20, 30)),
            *(maker.command("block_contact", identity=who[n], at=at(2)) for n in (11, 21, 32, 41)),
        ],
        [
            held,
            sent,
            *(maker.event("run_started", f"old-{n}", identity=who[n], at=at(6)) for n in (22, 40)),
            *(maker.message(at=at(20), address=address(n), provider_message_id=f"later-{n}") for n in (12, 22)),
        ],
        [
            # One poll for each worker, with something of every kind.
            *(maker.message(at=at(30), address=address(n), provider_message_id=f"new-{n}") for n in (10, 11, 60)),
            maker.message(at=at(20), address=address(12), provider_message_id="later-12"),
            maker.message("edited", at=at(0), address=address(13), provider_message_id="first-13"),
            maker.command("block_contact", identity=who[22], at=at(10)),
            maker.command("unblock_contact", identity=who[21], at=at(10)),
            maker.command("confirm_send", send_id=held["send_id"], at=at(30)),
            *(maker.send(at=at(30), send_id=str(uuid4()), to={"address": address(n)}) for n in (30, 32, 33, 61)),
            *(maker.receipt(sent, status, provider_message_id="out", at=at(31)) for status in ("sent", "delivered")),
            maker.receipt(sent | {"send_id": str(uuid4())}, "sent", provider_message_id="unknown", at=at(31)),
            *(maker.event("run_started", f"new-{n}", identity=who[n], at=at(30)) for n in (41, 42)),
            maker.event("step_requested", "new-42", step_id="s", action="send_message", at=at(31)),
            maker.event("run_finished", "old-40", at=at(30)),
        ],
    ]


async def produce(broker: Broker, facts: Facts) -> None:
    async with broker.producer(linger_ms=5) as producer:
        for fact in facts:
            await producer.send(broker.topic_prefix + topic_of(fact), msgspec.json.encode(fact), key_of(fact))


async def prepare(set_: Stage, parts: Sequence[Facts]) -> None:
    """All but the last part is applied."""
    [worker] = await set_.start_ready(",".join(ROOMS))
    for part in parts[:-1]:
        await produce(set_.broker, part)
        await set_.broker.caught_up(set_.pool, *traffic.INPUTS)
    assert await worker.stop() == 0


async def deaths(set_: Stage, room: str, each: int = 1) -> int:
    """Kills the worker after its first statement, the next one `each` statements later, until one completes its poll.
    Returns how many died.
    """
    topics = sorted(WORKERS[room].specs[0].decoders)
    for died_before, number in enumerate(count(1, each)):
        victim = await set_.fork(room, fault=Fault("statement", number))
        done = asyncio.create_task(set_.broker.caught_up(set_.pool, *topics))
        died = asyncio.create_task(victim.ended())
        await asyncio.wait({done, died}, return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE_S)
        applied = done.done()
        await ended(done, died)
        if victim.code is None:
            assert applied, victim.tail()
            assert await victim.stop() == 0
            return died_before
        assert victim.code == -signal.SIGKILL, victim.tail()
        await set_.expel(room)
        await set_.pool.execute(RELEASE, topics)
    raise AssertionError


async def undisturbed(databases: Databases, cluster: KafkaServer, logs: Path, parts: Sequence[Facts]) -> World:
    name = uuid4().hex[:8]
    broker = Broker("kafka", cluster.bootstrap, f"t{name}.", f"g{name}")
    async with databases.migrated() as url, stage(url, broker, logs, tuple(TOPICS)) as set_:
        await prepare(set_, parts)
        await produce(broker, parts[-1])
        [worker] = await set_.start_ready(",".join(ROOMS))
        await broker.caught_up(set_.pool, *traffic.INPUTS)
        assert await worker.stop() == 0
        return await world(set_.pool)


async def test_a_worker_killed_after_any_statement_has_done_nothing(
    everything: Stage, databases: Databases, cluster: KafkaServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    parts = before(Maker("alpha"))
    expected = await undisturbed(databases, cluster, tmp_path_factory.mktemp("undisturbed"), parts)
    await prepare(everything, parts)
    await produce(everything.broker, parts[-1])
    counts = await asyncio.gather(*(deaths(everything, room) for room in ROOMS))
    assert min(counts) >= FEWEST
    assert_same(await world(everything.pool), expected)
    await oracle.assert_delivered(everything.pool, everything.broker, traffic.INPUTS)


async def test_commands_killed_while_they_merge_part_and_delete(
    everything: Stage, databases: Databases, cluster: KafkaServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    maker, addresses = Maker("alpha"), [address(n) for n in range(families.GROUP)]

    async def play(set_: Stage, *, killed: bool) -> World:
        met = [maker.message(at=at(0), address=a, provider_message_id=f"first-{a}") for a in addresses]
        await produce(set_.broker, met)
        [worker] = await set_.start_ready("inbound")
        await set_.broker.caught_up(set_.pool, *traffic.INPUTS)
        ids = await families.known(set_.pool, maker, addresses)
        for part in (families.joined, families.parted):
            facts = list(part(maker, addresses, ids))
            await produce(set_.broker, facts)
            if killed:
                assert await deaths(set_, "commands", each=SELDOM) >= FEWEST // 2
            else:
                [other] = await set_.start_ready("commands")
                await set_.broker.caught_up(set_.pool, *traffic.INPUTS)
                assert await other.stop() == 0
        await set_.broker.caught_up(set_.pool, *traffic.INPUTS)
        assert await worker.stop() == 0
        return await world(set_.pool)

    name = uuid4().hex[:8]
    broker = Broker("kafka", cluster.bootstrap, f"t{name}.", f"g{name}")
    logs = tmp_path_factory.mktemp("undisturbed")
    async with databases.migrated() as url, stage(url, broker, logs, tuple(TOPICS)) as calm:
        expected = await play(calm, killed=False)
    assert_same(await play(everything, killed=True), expected)
    await oracle.assert_delivered(everything.pool, everything.broker, traffic.INPUTS)
