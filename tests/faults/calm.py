"""A workspace that works as on any day while another one floods, and how long its records wait for their answers.

Ten times a second it sends a message, a request to send, a block or unblock, and a step of a workflow. Each waits from
the stamp that the broker puts on it to the stamp on its first answer: how busy the test itself is does not matter.
"""

import asyncio
import time
import zlib
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, Final, NamedTuple

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from tests.acceptance.making import Json, Maker, identity, wire
from tests.faults.traffic import PARTITIONS
from tests.support.brokers import Broker

NAME: Final = "calm"
EVERY_S: Final = 0.1
PATIENCE_S: Final = 60.0
PEOPLE: Final = 40
RUNS: Final = 24

ANSWERS: Final = {
    "messages.inbound": ("messages.accepted", "provider_message_id"),
    "messages.outbound": ("sends.dispatch", "send_id"),
    "contacts.commands": ("commands.results", "command_id"),
    "workflows.events": ("workflows.control", "step_id"),
}
"""What is asked on which topic is answered where, and which field tells what the answer is to."""


class Waits(NamedTuple):
    """How long so many records waited, in seconds."""

    records: int
    p50: float
    p99: float
    longest: float


class Calm:
    """`partitions` are those it writes to: where a flood fills some to the brim, the others."""

    def __init__(self, broker: Broker, partitions: Sequence[int] = range(PARTITIONS)) -> None:
        self._prefix = broker.topic_prefix
        self._partitions = partitions
        self._maker = Maker(NAME)
        self._producer = Producer({"bootstrap.servers": broker.bootstrap, "linger.ms": 1, "log_level": 2})
        self._answers = _Answers(broker)
        self._asked: dict[tuple[str, str], int] = {}
        self._failed: list[str] = []

    async def settle(self) -> None:
        """People who are known, and runs that are under way."""
        for person in range(PEOPLE + RUNS):
            self._ask(self._message(person, f"first-{person}"))
        await self._answered()
        for run in range(RUNS):
            self._ask(self._maker.event("run_started", f"run-{run}", identity=identity(_address(PEOPLE + run))))
            self._ask(self._step(run, f"first-{run}"))
        await self._answered()
        self._asked.clear()

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Writes while the block lasts; at its end all is answered."""
        working = asyncio.create_task(self._work())
        try:
            yield
        finally:
            working.cancel()
            await asyncio.wait({working})
        await self._answered()

    def waits(self) -> dict[str, Waits]:
        """By topic of what was asked."""
        found: dict[str, list[float]] = {topic: [] for topic in ANSWERS}
        for (topic, name), asked in self._asked.items():
            found[topic].append((self._answers.at[topic, name] - asked) / 1_000)
        return {topic: _waits(sorted(each)) for topic, each in found.items()}

    async def _work(self) -> None:
        began = time.monotonic()
        for n in count():
            for fact in self._usual(n):
                self._ask(fact)
            self._producer.poll(0)
            await asyncio.sleep(max(0.0, began + n * EVERY_S - time.monotonic()))

    def _usual(self, n: int) -> Iterator[Json]:
        person, other = n % PEOPLE, (n + 1) % PEOPLE
        yield self._message(person, f"m{n}")
        yield self._maker.send(to={"address": _address(person)})
        block = "unblock_contact" if n // PEOPLE % 2 else "block_contact"
        yield self._maker.command(block, identity=identity(_address(1_000 + other)))
        yield self._step(n % RUNS, f"s{n}")

    def _message(self, person: int, id_: str) -> Json:
        return self._maker.message(address=_address(person), provider_message_id=id_)

    def _step(self, run: int, id_: str) -> Json:
        return self._maker.event("step_requested", f"run-{run}", step_id=id_, action="add_tag")

    def _ask(self, fact: Json) -> None:
        topic, key, value = wire(fact)
        name = fact.get(ANSWERS[topic][1])
        partition = self._partitions[zlib.crc32(key) % len(self._partitions)]

        def acknowledged(error: object, message: Any) -> None:
            if error is not None:
                self._failed.append(str(error))
            elif name is not None:
                self._asked[topic, name] = message.timestamp()[1]

        self._producer.produce(self._prefix + topic, value, key, partition, on_delivery=acknowledged)

    async def _answered(self) -> None:
        assert await asyncio.to_thread(self._producer.flush, PATIENCE_S) == 0
        assert not self._failed, self._failed[0]
        deadline = time.monotonic() + PATIENCE_S
        while left := self._asked.keys() - self._answers.at.keys():
            assert time.monotonic() < deadline, f"{len(left)} of {len(self._asked)} not answered, as {sorted(left)[:3]}"
            await asyncio.to_thread(self._answers.read)


_OURS: Final = f"{NAME}:".encode()


class _Answers:
    """The stamps of the first answers: `at`, in milliseconds, by the topic and the name of what was asked."""

    def __init__(self, broker: Broker) -> None:
        self.at: dict[tuple[str, str], int] = {}
        self._asked = {broker.topic_prefix + where: (topic, name) for topic, (where, name) in ANSWERS.items()}
        told = {"bootstrap.servers": broker.bootstrap, "group.id": "calm", "enable.auto.commit": False}
        self._consumer = Consumer(told | {"fetch.wait.max.ms": 20, "check.crcs": False, "log_level": 2})
        known = self._consumer.list_topics(timeout=10).topics
        wanted = [(topic, partition) for topic in self._asked for partition in known[topic].partitions]
        self._consumer.assign([TopicPartition(*each, OFFSET_BEGINNING) for each in wanted])

    def read(self) -> None:
        """What has come since."""
        for message in self._consumer.consume(5_000, timeout=0.2):
            where, value = message.topic(), message.value()
            if where is None or value is None or not (message.key() or b"").startswith(_OURS):
                continue
            topic, field = self._asked[where]
            name = msgspec.json.decode(value)[field]
            self.at.setdefault((topic, name), message.timestamp()[1])


def _address(person: int) -> str:
    return f"+49151{70_000_000 + person}"


def _waits(seconds: Sequence[float]) -> Waits:
    """Of ascending seconds; p99 is what 99 of 100 do not exceed."""
    last = len(seconds) - 1
    return Waits(len(seconds), seconds[last // 2], seconds[last - len(seconds) // 100], seconds[last])
