"""A network that delays, cuts, or drops one direction, between the workers and either server."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from tests.cli.commands import STOP_S
from tests.faults.books import Book, Scene, Scenes
from tests.faults.process import WorkerProcess
from tests.faults.proxy import Proxy, proxy, socket_of, through
from tests.support.databases import Databases
from tests.support.kafka import KafkaServer
from workers.errors import ExitCode

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

Between = Callable[[Book], AbstractAsyncContextManager[Proxy]]
Treatment = Callable[[Book, Proxy], Awaitable[None]]

_ANSWERED_LATE_S: Final = 13.0  # later than a request of the producer may be answered
_MORE_THAN_IS_OWED: Final = 300  # as much is applied only if it is published as well


@pytest.fixture
def scenes(databases: Databases, cluster: KafkaServer, tmp_path: Path) -> Scenes:
    return Scenes(databases, cluster, tmp_path)


async def delayed(book: Book, network: Proxy) -> None:
    network.up.delay_s = network.down.delay_s = 0.1
    await book.flows(_MORE_THAN_IS_OWED)


async def dribbled(book: Book, network: Proxy) -> None:
    for way in (network.up, network.down):
        way.piece, way.delay_s = 61, 0.001
    await book.flows(_MORE_THAN_IS_OWED)


async def reset(book: Book, network: Proxy) -> None:
    for _ in range(6):
        network.reset()
        await book.flows(20)


async def requests_late(_: Book, network: Proxy) -> None:
    network.up.swallow()
    await asyncio.sleep(_ANSWERED_LATE_S)


async def requests_lost(_: Book, network: Proxy) -> None:
    network.up.swallow()
    await asyncio.sleep(_ANSWERED_LATE_S)
    network.reset()


async def answers_lost(_: Book, network: Proxy) -> None:
    network.down.swallow()
    await asyncio.sleep(_ANSWERED_LATE_S)
    network.reset()


TREATMENTS: Final = (delayed, dribbled, reset, requests_late, requests_lost, answers_lost)


async def bad_for_a_while(book: Book, between: Between, treatment: Treatment) -> None:
    """The worker bears it, or ends with a fault and its replacement goes on."""
    async with between(book) as network:
        await book.start()
        async with book.load():
            await book.flows()
            await treatment(book, network)
            network.mend()
            await book.flows()
        await book.finish()


async def swallowed_for_ever(book: Book, between: Between, server: str) -> None:
    """A worker that nobody answers any more does not hang: it ends with a fault, and says who does not answer."""
    async with between(book) as network:
        worker = await book.start()
        async with book.load():
            await book.flows()
            network.down.swallow()
            await says_unreachable(worker, server)
            await book.stage.start("book")
            await book.flows()
        await book.finish()


async def swallowed_when_idle(book: Book, between: Between, server: str) -> None:
    """Nor does one that has nothing to do."""
    async with between(book) as network:
        worker = await book.start()
        await worker.has_logged("taken_over")
        network.down.swallow()
        await says_unreachable(worker, server)


def silent(network: Proxy) -> None:
    network.down.swallow()


def refusing(network: Proxy) -> None:
    network.target = "/nowhere"
    network.reset()


AWAY: Final = (silent, refusing)


async def stopped(book: Book, between: Between, away: Callable[[Proxy], None]) -> None:
    """Who asks a worker to stop need not wait for a server that does not answer, or is not there."""
    async with between(book) as network:
        worker = await book.start()
        async with book.load():
            await book.flows()
            away(network)
            await stops_in_time(worker)
        await book.stage.start("book")
        await book.finish()


async def stopped_when_idle(book: Book, between: Between) -> None:
    async with between(book) as network:
        worker = await book.start()
        await worker.has_logged("taken_over")
        silent(network)
        await stops_in_time(worker)


async def stops_in_time(worker: WorkerProcess) -> None:
    await asyncio.sleep(1)  # in the midst of waiting
    assert await worker.stop(STOP_S) in (ExitCode.CLEAN, ExitCode.FAULT), worker.tail()
    assert "Traceback" not in worker.tail()


async def says_unreachable(worker: WorkerProcess, server: str) -> None:
    assert await worker.ended(120) == ExitCode.FAULT, worker.tail()
    said = [line for line in worker.logged() if line["level"] == "error" and "library" not in line["action"]]
    assert [line["action"] for line in said] == ["unreachable"], worker.tail()
    assert server in said[0]["event"]


async def test_whatever_the_network_does_to_kafka_everything_is_applied_once(
    scenes: Scenes, cluster: KafkaServer
) -> None:
    doors = iter(cluster.doors)

    @asynccontextmanager
    async def between(book: Book) -> AsyncIterator[Proxy]:
        door = next(doors)
        async with proxy(("127.0.0.1", door.port), door.told) as network:
            book.way["SLUICE_KAFKA_BOOTSTRAP"] = f"127.0.0.1:{network.port}"
            yield network

    idle = partial(swallowed_when_idle, between=between, server="Kafka")
    await scenes.play(_every_treatment(between, "Kafka") | {"idle": idle})


async def test_whatever_the_network_does_to_postgresql_everything_is_applied_once(scenes: Scenes) -> None:
    await scenes.play(_every_treatment(_before_postgresql, "PostgreSQL") | {"answer of COMMIT": commit_unanswered})


def _every_treatment(between: Between, server: str) -> dict[str, Scene]:
    for_a_while = {one.__name__: partial(bad_for_a_while, between=between, treatment=one) for one in TREATMENTS}
    return {
        **for_a_while,
        **{f"stopped, {one.__name__}": partial(stopped, between=between, away=one) for one in AWAY},
        "stopped when idle": partial(stopped_when_idle, between=between),
        "swallowed for ever": partial(swallowed_for_ever, between=between, server=server),
    }


async def commit_unanswered(book: Book) -> None:
    """The batch had been applied, and its worker could not know: it asks, and goes on."""
    async with _before_postgresql(book) as network:
        worker = await book.start()
        async with book.load():
            for _ in range(5):
                await network.lose_answer(b"COMMIT")
                await book.flows()
        lost = [line for line in worker.logged() if line["action"] == "connection_lost"]
        assert len(lost) >= 5, worker.tail()
        await book.finish(replaced=0)


@asynccontextmanager
async def _before_postgresql(book: Book) -> AsyncIterator[Proxy]:
    async with proxy(socket_of(book.stage.database)) as network:
        book.way["SLUICE_DATABASE_URL"] = through(network, book.stage.database)
        yield network
