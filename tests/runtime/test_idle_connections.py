"""Connections that end while they are idle, by an administrator or a firewall, are replaced without an error."""

import asyncio
import socket
from typing import Final

import pytest
from asyncpg import Pool
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from schemas.topics import TOPICS
from tests.cli.sending import KEY, TOPIC, message
from tests.faults.proxy import proxy, socket_of, through
from tests.runtime.ledgerbook import OUTPUT, book, rows, spec_of
from tests.support.brokers import Broker
from tests.support.databases import until
from tests.support.processes import settings_for
from tests.support.workers import running
from workers.app import supervisor
from workers.app.composition import ALL, plan_of
from workers.errors import ExitCode
from workers.store.pool import Server, connected

_END: Final = """
SELECT count(*) > 0 AND bool_and(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
WHERE datname = current_database() AND state = 'idle' AND application_name LIKE $1
"""


def retries() -> float:
    labels = {"worker": "book", "reason": "ConnectionLost"}
    return REGISTRY.get_sample_value("sluice_transaction_retries_total", labels) or 0.0


async def test_a_worker_renews_the_connection_that_it_keeps(database: str, pool: Pool, broker: Broker) -> None:
    await book(pool)
    await broker.create("messages.inbound", OUTPUT)
    before = retries()
    with capture_logs() as logs:
        async with running(spec_of(), database, broker):
            await broker.produce("messages.inbound", [(b"k", b"1")])
            await broker.caught_up(pool, "messages.inbound")
            assert await pool.fetchval(_END, "sluice/test-worker")
            await broker.produce("messages.inbound", [(b"k", b"2")])
            await broker.caught_up(pool, "messages.inbound")
            # And once more, so that the leases are given back over a connection that has ended.
            assert await pool.fetchval(_END, "sluice/test-worker")
    assert await rows(pool) == [1, 2]
    assert [log for log in logs if log["log_level"] in ("warning", "error")] == []
    assert "connection_renewed" in {log["action"] for log in logs}
    assert retries() == before
    assert await pool.fetchval("SELECT count(*) FROM sluice_core.progress WHERE lease IS NOT NULL") == 0


async def test_a_process_of_all_workers_is_not_disturbed(database: str, pool: Pool, broker: Broker) -> None:
    await broker.create(*TOPICS)
    ready, stop = asyncio.Event(), asyncio.Event()
    settings = settings_for(database, broker)
    with capture_logs() as logs:
        running = asyncio.create_task(supervisor.run(settings, plan_of([ALL]), stop, ready=ready.set))
        await asyncio.wait_for(ready.wait(), 40)
        for count in (1, 2, 3):
            assert await pool.fetchval(_END, "sluice/%")
            await broker.produce(TOPIC, [(KEY, message())])
            await broker.caught_up(pool, TOPIC)
            await until(pool, "SELECT sum(next_offset) = $1 FROM sluice.partition_progress", count)
        stop.set()
        assert await asyncio.wait_for(running, 40) is ExitCode.CLEAN
    # A busy machine blocks the event loop as well.
    told = [log for log in logs if log["log_level"] in ("warning", "error") and log["action"] != "loop_blocked"]
    assert told == []


@pytest.mark.parametrize("number", [1, 2])
async def test_who_asks_for_the_server_asks_over_a_new_connection(database: str, pool: Pool, number: int) -> None:
    server = Server(database)
    await server.ask()
    for _ in range(number):
        assert await pool.fetchval(_END, "sluice/liveness")
        await server.ask()
    server.close()


async def test_connections_over_tcp_are_kept_alive(database: str) -> None:
    async with proxy(socket_of(database)) as network:
        connection = await connected(through(network, database), "sluice/test")
        peer = connection._transport.get_extra_info("socket")  # noqa: SLF001
        assert peer.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 10
        connection.terminate()
