"""`/live` says that the event loop has its turns, `/ready` that the process does its work."""

import asyncio
import threading
import time
from socket import socket
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from asyncpg import Pool

from tests.runtime.ledgerbook import OUTPUT, TOPIC, book, spec_of
from tests.runtime.test_service_group import Acting
from tests.support.brokers import Broker
from tests.support.metrics import until, value
from tests.support.probes import HoldAt
from tests.support.workers import running
from workers.app.service_group import ServiceGroup
from workers.app.worker import Wiring, Worker
from workers.errors import ExitCode
from workers.kafka.connection import PollLimits
from workers.process.health import Health
from workers.process.liveness import ServerLiveness
from workers.process.loop_watch import watched
from workers.process.metrics_server import serve_health
from workers.store.current_schema import NOT_CURRENT, CurrentSchema


def port() -> int:
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
    return found


def asked(at: int, path: str) -> tuple[int, str]:
    try:
        with urlopen(f"http://127.0.0.1:{at}{path}", timeout=10) as answer:
            return int(answer.status), answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


async def test_a_blocked_loop_is_not_alive_and_comes_back_to_life() -> None:
    health, at = Health(live_within_s=0.3), port()
    serve_health(health, "127.0.0.1", at)
    during: list[tuple[int, str]] = []
    lags: list[float] = []

    def look() -> None:
        time.sleep(0.8)
        during.append(asked(at, "/live"))
        lags.append(value("sluice_loop_lag_seconds") or 0.0)

    assert asked(at, "/live") == (200, "live\n")
    async with watched(health):
        await asyncio.sleep(0.1)
        assert await asyncio.to_thread(asked, at, "/live") == (200, "live\n")
        looking = threading.Thread(target=look)
        looking.start()
        time.sleep(1.2)  # noqa: ASYNC251 - that is what it is about
        await asyncio.sleep(0.2)
        looking.join()
        assert await asyncio.to_thread(asked, at, "/live") == (200, "live\n")
    assert during == [(503, "the event loop is blocked\n")]
    assert lags[0] > 0.5


def test_ready_from_the_beginning_to_the_end_while_nothing_is_missing() -> None:
    missing: list[str] = []
    begun: list[bool] = []
    health, at = Health(lambda: begun.append(True)), port()
    serve_health(health, "127.0.0.1", at)
    health.require(lambda: missing)

    assert asked(at, "/ready") == (503, "not ready: it starts\n")
    health()
    assert (asked(at, "/ready"), begun, health.is_ready) == ((200, "ready\n"), [True], True)
    missing += ["Kafka does not answer", "inbound has ended"]
    assert asked(at, "/ready") == (503, "not ready: Kafka does not answer; inbound has ended\n")
    missing.clear()
    health.leave()
    health()
    assert (asked(at, "/ready"), health.is_live) == ((503, "not ready: it stops\n"), True)


async def test_a_worker_is_ready_while_it_has_its_partitions(pool: Pool, broker: Broker) -> None:
    await book(pool)
    await broker.create(TOPIC, OUTPUT)
    hold = HoldAt("leases_taken")
    limits = PollLimits(wait_ms=100, fetch_max_wait_ms=20)
    worker = Worker(spec_of(), Wiring(pool, broker.cluster(), broker.group_prefix, limits, probe=hold))
    ending = asyncio.create_task(worker.run())
    await asyncio.wait_for(hold.reached.wait(), 30)
    assert worker.obstacles() == ["book waits for its partitions"]
    hold.go.set()
    await asyncio.wait_for(worker.consuming.wait(), 30)
    assert worker.obstacles() == []
    worker.stop()
    assert await asyncio.wait_for(ending, 30) is ExitCode.CLEAN
    assert worker.obstacles() == ["book waits for its partitions"]


@pytest.mark.kafka
async def test_a_worker_for_which_there_is_no_partition_is_ready(database: str, pool: Pool, kafka: Broker) -> None:
    await book(pool)
    await kafka.create(TOPIC, OUTPUT, partitions=1)
    async with running(spec_of(), database, kafka) as first, running(spec_of(), database, kafka) as second:
        await until(lambda: (first.worker.obstacles(), second.worker.obstacles()) == ([], []))


async def test_a_part_that_is_not_at_work_is_named() -> None:
    group = ServiceGroup([lambda: Acting("one", [ExitCode.STOPPED_THE_LINE]), lambda: Acting("other", [])])
    assert group.obstacles() == ["one starts", "other starts"]
    await until(lambda: group.obstacles() == [])
    [over] = [task for task, part in group.running.items() if part.name == "one"]
    await asyncio.wait({over})
    group.ended(over, over.result())
    assert group.obstacles() == ["one has ended"]
    group.stop()
    await asyncio.wait(group.running)


async def test_a_server_that_does_not_answer_is_named() -> None:
    class Asked:
        answers = True

        async def ask(self) -> None:
            if not self.answers:
                raise OSError

        def close(self) -> None: ...

    server = Asked()
    liveness = ServerLiveness("a server", server, (OSError,), 1.0)
    running = asyncio.create_task(liveness.run())
    await until(lambda: value("sluice_server_up", server="a server") == 1)
    assert liveness.obstacles() == []
    server.answers = False
    await until(lambda: liveness.obstacles() == ["a server does not answer"])
    assert value("sluice_server_up", server="a server") == 0
    server.answers = True
    await until(lambda: liveness.obstacles() == [])
    assert value("sluice_server_up", server="a server") == 1
    liveness.stop()
    assert await running is ExitCode.CLEAN


async def test_a_schema_of_another_version_is_told_and_ends_nothing(database: str, pool: Pool) -> None:
    server = CurrentSchema(database)
    try:
        await server.ask()
        assert server.obstacles() == []
        await pool.execute("INSERT INTO sluice_core.migrations VALUES ('9999_newer.sql', 'x')")
        await server.ask()
        assert server.obstacles() == [NOT_CURRENT]
        await pool.execute("ALTER TABLE sluice_core.migrations RENAME TO elsewhere")
        await server.ask()
        assert server.obstacles() == [NOT_CURRENT]
        await pool.execute("ALTER TABLE sluice_core.elsewhere RENAME TO migrations")
        await pool.execute("DELETE FROM sluice_core.migrations WHERE name = '9999_newer.sql'")
        await server.ask()
        assert server.obstacles() == []
    finally:
        server.close()
