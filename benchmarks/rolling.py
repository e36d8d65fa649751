"""Measures what replacing workers costs: each of three in turn, or one, three, and one again, under a steady load."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from random import Random
from threading import Event
from typing import Final, Literal, NamedTuple
from uuid import UUID

import msgspec

from benchmarks.latency import ACCEPTED, PREFIX, latency_of, paced, read, until
from benchmarks.load import CONTACTS, message
from benchmarks.measuring import Tell, command_of
from benchmarks.processes import SideProcess, started
from benchmarks.result import Latency
from benchmarks.stage import Past, Stage
from tests.acceptance.making import Wire

_BETWEEN_S: Final = 4.0
_WARMING_UP_S: Final = 4.0
_STORED: Final = "SELECT count(*) FROM sluice.conversation_messages"


class Rolling(NamedTuple):
    """Messages at a constant rate while workers come and go: all of them restart, or more of them are there for a
    while. It must be over within `seconds`.
    """

    name: str
    about: str
    plan: Literal["restart", "scale"]
    rate: int
    seconds: float
    rounds: int | None = None


class _Accepted(msgspec.Struct):
    message_id: UUID
    received_at: datetime


_MESSAGE: Final = msgspec.json.Decoder(_Accepted)


class _Workers:
    """Processes of one group. What has ended is not watched any more."""

    def __init__(self, stage: Stage, name: str, command: Sequence[str]) -> None:
        self._stage = stage
        self._name = name
        self._command = command
        self._begun = 0
        self.at_work: list[SideProcess] = []

    def begin(self, count: int) -> None:
        """Starts processes at the same time. Returns when all of them consume."""
        folder = self._stage.folder
        new = [started(self._command, folder / f"{self._name}-{self._begun + n}.log", folder) for n in range(count)]
        self._begun += count
        self.at_work += new
        for process in new:
            process.await_consuming()

    def end(self, count: int) -> None:
        """Stops the oldest processes, one after the other, as an orchestrator does."""
        for process in self.at_work[:count]:
            process.check()
            process.end()
        del self.at_work[:count]


def rolling(stage: Stage, side: Rolling, number: int, tell: Tell) -> Latency:
    """One measurement in a new database.

    Raises:
        SideFailed: a message was lost or stored twice, or the processes were not replaced in time.
    """
    name = f"{side.name}-{number}".replace("-", "_")
    stage.topics(PREFIX)
    stage.offsets.forget(f"{PREFIX}messages.inbound")
    database = stage.database(name, Past(CONTACTS, CONTACTS))
    dice = Random(number)

    def say(n: int) -> Wire:
        return message(n, "acme", dice.randrange(CONTACTS), datetime.now(UTC))

    stored = stage.ask(_STORED, database=database)
    before = stage.offsets.ends([ACCEPTED])
    with _workers(stage, name, command_of(stage, "sluice", database, PREFIX, name, ("inbound",))) as workers:
        workers.begin(3 if side.plan == "restart" else 1)
        began = time.time()
        over = Event()
        with ThreadPoolExecutor(1) as pool:
            sending = pool.submit(paced, stage, say, side.rate, side.seconds, tell, over)
            try:
                time.sleep(_WARMING_UP_S)
                for _ in _changes(workers, side.plan):
                    time.sleep(_BETWEEN_S)
                latest = workers.at_work[-1]
                if sending.done():
                    raise latest.failed("began too late: the load had ended")
            finally:
                over.set()
            count = sending.result()
        after = until(stage, ACCEPTED, before, count, latest)
        messages = [(_MESSAGE.decode(value), at) for value, at in read(stage, before, after)]
        stored = stage.ask(_STORED, database=database) - stored
        told = len({one.message_id for one, _ in messages})
        if (stored, told) != (count, count):
            raise latest.failed(f"{count} were sent, {stored} stored, {told} published")
    stage.drop(name)
    first: dict[UUID, float] = {}
    for one, at in messages:  # a message may be published twice
        if (sent := one.received_at.timestamp()) > began + _WARMING_UP_S / 2:
            first.setdefault(one.message_id, at - sent * 1000)
    return latency_of(side.name, number, list(first.values()), 0.0)


@contextmanager
def _workers(stage: Stage, name: str, command: Sequence[str]) -> Iterator[_Workers]:
    workers = _Workers(stage, name, command)
    try:
        yield workers
    finally:
        for process in workers.at_work:
            process.end()


def _changes(workers: _Workers, plan: Literal["restart", "scale"]) -> Iterator[None]:
    """Yields after each change."""
    if plan == "restart":
        for _ in range(len(workers.at_work)):
            workers.end(1)
            workers.begin(1)
            yield
        return
    workers.begin(2)
    yield
    workers.end(2)
    yield
