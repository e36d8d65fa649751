"""Whoever stops polling is ended, so that somebody else takes over."""

import asyncio

import pytest
from asyncpg import Pool
from structlog.testing import capture_logs

from tests.runtime.ledgerbook import OUTPUT, TOPIC, book, rows, spec_of
from tests.support.brokers import Broker
from tests.support.probes import HoldAt
from tests.support.workers import running
from workers.errors import ExitCode
from workers.runtime import supervisor
from workers.runtime.connection import PollLimits
from workers.runtime.ports import Probe, no_probe
from workers.runtime.worker import Wiring, Worker

STALLED_AFTER_S = 4.0  # joining the group must fit in


def worker(pool: Pool, broker: Broker, probe: Probe = no_probe) -> Worker:
    limits = PollLimits(wait_ms=50, fetch_max_wait_ms=20)
    wiring = Wiring(
        pool, broker.cluster(), broker.group_prefix, limits=limits, stalled_after_s=STALLED_AFTER_S, probe=probe
    )
    return Worker(spec_of(), wiring)


async def test_a_worker_whose_polling_stands_still_ends_the_process_with_a_fault(
    database: str, pool: Pool, broker: Broker
) -> None:
    await book(pool)
    await broker.create(TOPIC, OUTPUT)
    await broker.produce(TOPIC, [(b"k", b"1")])
    hold = HoldAt("polled")
    with capture_logs() as logs:
        ending = asyncio.create_task(supervisor.supervise([worker(pool, broker, hold)], asyncio.Event()))
        await asyncio.wait_for(hold.reached.wait(), 30)
        assert await asyncio.wait_for(ending, 30) is ExitCode.FAULT
    [error] = [log for log in logs if log["log_level"] == "error"]
    assert error["action"] == "stalled"
    assert "book has not polled for" in error["event"]
    async with running(spec_of(), database, broker):
        await broker.caught_up(pool, TOPIC)
    assert await rows(pool) == [1]


async def test_a_worker_without_work_is_not_taken_for_stalled(pool: Pool, broker: Broker) -> None:
    await book(pool)
    await broker.create(TOPIC, OUTPUT)
    idle = worker(pool, broker)
    ending = asyncio.create_task(idle.run())
    await asyncio.wait_for(idle.consuming.wait(), 30)
    await asyncio.wait({ending}, timeout=STALLED_AFTER_S * 1.3)
    assert not ending.done()
    idle.stop()
    assert await asyncio.wait_for(ending, 30) is ExitCode.CLEAN


@pytest.mark.kafka
async def test_a_worker_without_a_partition_is_not_taken_for_stalled(database: str, pool: Pool, kafka: Broker) -> None:
    await book(pool)
    await kafka.create(TOPIC, OUTPUT, partitions=1)
    async with running(spec_of(), database, kafka):
        spare = worker(pool, kafka)
        ending = asyncio.create_task(spare.run())
        await asyncio.wait_for(spare.consuming.wait(), 30)
        await asyncio.wait({ending}, timeout=STALLED_AFTER_S * 1.3)
        assert not ending.done()
        spare.stop()
        assert await asyncio.wait_for(ending, 30) is ExitCode.CLEAN
