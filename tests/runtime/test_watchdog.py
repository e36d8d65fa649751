"""A process that stops polling ends, so that another one takes over. One that blocks its loop says so and ends."""

import asyncio
import signal
import sys
import time
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path
from typing import Final

import pytest
from asyncpg import Pool
from structlog.testing import capture_logs

from tests.runtime.ledgerbook import OUTPUT, TOPIC, book, rows, spec_of
from tests.support.brokers import Broker
from tests.support.probes import HoldAt
from tests.support.workers import running
from workers.app import supervisor
from workers.app.worker import Wiring, Worker
from workers.errors import ExitCode
from workers.kafka.connection import PollLimits
from workers.process import loop_watch
from workers.process.metrics.of_processes import LOOP_BLOCKED
from workers.runtime.ports import Probe, no_probe

ROOT: Final = Path(__file__).resolve().parents[2]
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
        ending = asyncio.create_task(supervisor.supervise([], [lambda: worker(pool, broker, hold)], asyncio.Event()))
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


async def test_a_worker_that_applies_a_poll_in_many_portions_is_not_taken_for_stalled(
    pool: Pool, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.runtime.ledger.TRANSACTION_S", 0.5)
    monkeypatch.setattr("workers.runtime.portions.UNHURRIED_S", 0.1)
    await book(pool)
    await pool.execute(
        """
        CREATE FUNCTION take_time() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_sleep(0.1); RETURN new; END $$;
        CREATE TRIGGER take_time BEFORE INSERT ON book FOR EACH ROW EXECUTE FUNCTION take_time()
        """
    )
    await broker.create(TOPIC, OUTPUT)
    await broker.produce(TOPIC, [(b"k", b"%d" % n) for n in range(100, 160)], partition=0)
    busy = worker(pool, broker)
    ending = asyncio.create_task(busy.run())

    await broker.caught_up(pool, TOPIC)

    assert not ending.done()
    busy.stop()
    assert await asyncio.wait_for(ending, 30) is ExitCode.CLEAN
    assert await rows(pool) == list(range(100, 160))


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


@pytest.mark.parametrize("ticks", [0, 2], ids=["at its first tick", "later"])
async def test_a_blocked_loop_is_measured_and_told_with_what_blocked_it(ticks: int) -> None:
    before = blocked_s()
    with capture_logs() as logs:
        async with loop_watch.watched():
            await asyncio.sleep(ticks * loop_watch.TICK_S)
            time.sleep(1.3)  # noqa: ASYNC251 - that is what it is about
            await asyncio.sleep(2 * loop_watch.TICK_S)
    [told] = [log for log in logs if log["action"] == "loop_blocked"]
    assert told["log_level"] == "warning"
    assert 1.2 < told["seconds"] < 10
    assert told["cpu_s"] < 1.2
    assert told["where"][0].endswith("test_a_blocked_loop_is_measured_and_told_with_what_blocked_it")
    assert blocked_s() - before >= 1.2


async def test_a_loop_that_does_nothing_but_wait_is_not_blocked() -> None:
    with capture_logs() as logs:
        async with loop_watch.watched(give_up_after_s=0.7):
            await asyncio.sleep(1.5)
    assert logs == []


def blocked_s() -> float:
    """What the metric of the loop's blocking comes to."""
    [metric] = LOOP_BLOCKED.collect()
    return sum(sample.value for sample in metric.samples if sample.name.endswith("_sum"))


COMPUTES: Final = "while True: pass"
IN_ONE_CALL: Final = "hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)"
WAITS_FOR_EVER: Final = "await asyncio.Event().wait()"
SCRIPT: Final = """
import asyncio, hashlib, sys
from workers.process import loop_watch
from workers.process.metrics.of_processes import LOOP_BLOCKED
from workers.process.forced_exit import ends_within
from workers.process.signals import remembered

async def at_work():
    async with loop_watch.watched(give_up_after_s={give_up_after_s}):
        await asyncio.sleep(0.1)
        print("at work", flush=True)
        {work}

with remembered(), ends_within(1.0):
    asyncio.run(at_work())
"""


@pytest.mark.parametrize("work", [COMPUTES, IN_ONE_CALL, WAITS_FOR_EVER])
async def test_sigterm_ends_a_process_in_time_whatever_it_is_at(work: str) -> None:
    process = await script(work)
    try:
        await asyncio.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        asked = time.monotonic()
        out, _ = await asyncio.wait_for(process.communicate(), 20)
        assert 0.9 < time.monotonic() - asked < 5
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == ExitCode.FAULT
    assert "stop_forced" in out.decode()
    assert ("at_work'" in out.decode()) == (work is not WAITS_FOR_EVER)


async def test_a_loop_that_never_comes_back_ends_the_process_so_that_another_one_takes_over() -> None:
    process = await script(COMPUTES, give_up_after_s=1.0)
    out, _ = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == ExitCode.FAULT
    assert "stalled" in out.decode()


async def script(work: str, give_up_after_s: float = 60.0) -> asyncio.subprocess.Process:
    """A process that is at the given work."""
    text = SCRIPT.format(work=work, give_up_after_s=give_up_after_s)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", text, cwd=ROOT, stdout=PIPE, stderr=STDOUT)
    assert process.stdout is not None
    assert b"at work" in await asyncio.wait_for(process.stdout.readline(), 20)
    return process
