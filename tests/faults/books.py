"""Ledger books under load: many small scenes at once on one cluster, each with its own database and topics."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.faults import audit, oracle
from tests.faults.process import WorkerProcess
from tests.faults.stage import BOOK_TOPICS, Stage, stage
from tests.runtime import ledgerbook
from tests.runtime.ledgerbook import OUTPUT, TOPIC
from tests.support.brokers import Broker
from tests.support.databases import Databases
from tests.support.kafka import KafkaServer
from workers.errors import ExitCode

_KEYS: Final = 60
_PORTION: Final = 40
_FIRST: Final = 1_000
_LEFT: Final = "SELECT count(*) FROM sluice_core.batch_outbox"


@dataclass
class Book:
    """A stage whose input is numbers, each once, in ascending order within each key. `way` is how the workers of the
    scene reach the servers, where that is not the direct one.
    """

    stage: Stage
    way: dict[str, str] = field(default_factory=dict)
    sent: int = 0

    async def start(self) -> WorkerProcess:
        """A worker that comes by the scene's way; returns once it is at work."""
        return (await self.stage.start_ready("book", count=1, **self.way))[0]

    async def send(self, count: int) -> None:
        """Puts that many more numbers on the topic."""
        first = _FIRST + self.sent
        self.sent += count
        await self.stage.broker.produce(TOPIC, [(b"k%d" % (n % _KEYS), b"%d" % n) for n in range(first, first + count)])

    @asynccontextmanager
    async def load(self) -> AsyncIterator[None]:
        """Numbers come in small portions for as long as the block lasts."""
        over = asyncio.Event()
        sending = asyncio.create_task(self._send_until(over))
        try:
            yield
        finally:
            over.set()
            await sending

    async def _send_until(self, over: asyncio.Event) -> None:
        async with self.stage.broker.producer(linger_ms=5) as producer:
            topic = self.stage.broker.topic_prefix + TOPIC
            while not over.is_set():
                first = _FIRST + self.sent
                numbers = range(first, first + _PORTION)
                waiting = [await producer.send(topic, b"%d" % n, b"k%d" % (n % _KEYS)) for n in numbers]
                await asyncio.gather(*waiting)
                self.sent += _PORTION
                await asyncio.sleep(0.1)

    async def applied(self) -> int:
        """How many numbers are in the book."""
        return int(await self.stage.pool.fetchval("SELECT count(*) FROM book"))

    async def flows(self, count: int = 2 * _PORTION, timeout_s: float = 60.0) -> None:
        """Waits until so many more numbers are in the book."""
        wanted = await self.applied() + count
        await self._until(lambda: self._holds(wanted), timeout_s, f"{wanted} numbers in the book")

    async def caught_up(self, timeout_s: float = 60.0) -> None:
        """Waits until everything sent is in the book and told."""
        await self._until(lambda: self._holds(self.sent), timeout_s, f"{self.sent} numbers in the book")

    async def _holds(self, wanted: int) -> bool:
        if await self.applied() < wanted:
            return False
        return wanted < self.sent or int(await self.stage.pool.fetchval(_LEFT)) == 0

    async def _until(self, true: Callable[[], Awaitable[bool]], timeout_s: float, what: str) -> None:
        deadline = asyncio.get_running_loop().time() + timeout_s
        while not await true():
            assert asyncio.get_running_loop().time() < deadline, f"not in {timeout_s:g} s: {what}\n{self.stage.told()}"
            await asyncio.sleep(0.05)

    async def told(self, worker: WorkerProcess, action: str, times: int = 1, timeout_s: float = 60.0) -> None:
        """Waits until a worker has logged an action so often."""
        await self._until(lambda: _logged(worker, action, times), timeout_s, f"{action}, {times} times")

    async def finish(self, *, bound_s: float = 60.0, replaced: int = 3) -> None:
        """Whoever ended with a fault is replaced, at most so often, by a worker that comes the direct way, and within
        the bound all numbers are applied once and told in order. All workers stop cleanly.
        """
        left = [replaced]
        await self._until(lambda: self._done(left), bound_s, f"all {self.sent} numbers applied and told")
        living = [one for one in self.stage.started if one.code is None]
        if living:
            assert set(await self.stage.stop(*living)) == {ExitCode.CLEAN}, self.stage.told()
        await self.assert_exactly_once()

    async def _done(self, left: list[int]) -> bool:
        if await self._holds(self.sent):
            return True
        if all(one.code is not None for one in self.stage.started):
            codes = {one.code for one in self.stage.started}
            assert codes == {ExitCode.FAULT}, f"ended with {codes}\n{self.stage.told()}"
            assert left[0], f"the last one ended as well\n{self.stage.told()}"
            left[0] -= 1
            await self.stage.start("book")
        return False

    async def assert_exactly_once(self) -> None:
        """Every number is in the book once, and on the output topic at least once, with one id, in order of its key."""
        pool, broker = self.stage.pool, self.stage.broker
        assert await ledgerbook.rows(pool) == list(range(_FIRST, _FIRST + self.sent))
        await oracle.assert_applied_once(pool, broker, [TOPIC])
        published = {topic: await broker.read_all(topic) for topic in (OUTPUT, "dead.letters")}
        assert not published["dead.letters"]
        oracle.assert_told(await audit.facts(pool), published)
        first = oracle.first_occurrences(published[OUTPUT]).values()
        by_key: dict[bytes | None, list[int]] = {}
        for record in first:
            by_key.setdefault(record.key, []).append(int(record.value or b""))
        assert all(numbers == sorted(numbers) for numbers in by_key.values())


async def _logged(worker: WorkerProcess, action: str, times: int) -> bool:
    return len([line for line in worker.logged() if line["action"] == action]) >= times


@asynccontextmanager
async def open_book(databases: Databases, cluster: KafkaServer, logs: Path) -> AsyncIterator[Book]:
    """A book with names of its own."""
    name = uuid.uuid4().hex[:8]
    broker = Broker("kafka", cluster.bootstrap, f"t{name}.", f"g{name}")
    async with databases.migrated() as url, stage(url, broker, logs, BOOK_TOPICS) as set_:
        await ledgerbook.book(set_.pool)
        set_.environment |= {"SLUICE_POLL_RECORDS": "50", "SLUICE_UNREACHABLE_AFTER_S": "15"}
        yield Book(set_)


Scene = Callable[[Book], Awaitable[None]]


class Scenes:
    """Plays scenes at once: they mostly wait."""

    def __init__(self, databases: Databases, cluster: KafkaServer, logs: Path) -> None:
        self._databases = databases
        self._cluster = cluster
        self._logs = logs
        self._turn = asyncio.Lock()

    async def play(self, scenes: Mapping[str, Scene], timeout_s: float = 200.0) -> None:
        """All of them; raises what went wrong in any, by name, once all are over."""
        async with asyncio.timeout(timeout_s):
            ended = await asyncio.gather(*(self._play(*scene) for scene in scenes.items()), return_exceptions=True)
        wrong = []
        for name, error in zip(scenes, ended, strict=True):
            if isinstance(error, Exception):
                error.add_note(f"in the scene: {name}")
                wrong.append(error)
        if wrong:
            raise ExceptionGroup("scenes", wrong)

    async def _play(self, name: str, scene: Scene) -> None:
        logs = self._logs / name.replace(" ", "-")
        logs.mkdir()
        async with AsyncExitStack() as stack:
            async with self._turn:  # a template that somebody clones cannot be made or cloned by another
                book = await stack.enter_async_context(open_book(self._databases, self._cluster, logs))
            await scene(book)
