"""Measures latency: from the producer's time in the record to the broker's timestamp of the output.

Both clocks are this machine's. With one replica a record is readable once the broker has stamped it.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from random import Random
from threading import Event
from typing import Final, NamedTuple

import msgspec
from confluent_kafka import Consumer, TopicPartition

from benchmarks.load import CONTACTS, address, message, producer
from benchmarks.measuring import Tell, command_of
from benchmarks.processes import SideProcess, running
from benchmarks.result import Latency
from benchmarks.stage import Past, Stage
from benchmarks.traffic import block, start
from benchmarks.usage import cpu_of
from benchmarks.watching import Ends
from tests.acceptance.making import Json, Wire, identity, wire

PREFIX: Final = "steady."
ACCEPTED: Final = f"{PREFIX}messages.accepted"
_CONTROL: Final = f"{PREFIX}workflows.control"
_RESULTS: Final = f"{PREFIX}commands.results"
_WARMING_UP_S: Final = 2.0
_PATIENCE_S: Final = 60.0
_HALF_A_MILLISECOND: Final = 0.5  # the broker's timestamps are truncated to milliseconds


class Steady(NamedTuple):
    """A constant rate of messages for a while, and the latency of each.

    `regulars`: every contact has written once before, as on the third day of a month.
    """

    name: str
    about: str
    module: str
    arguments: tuple[str, ...]
    rate: int
    seconds: float
    past: Past = Past()
    regulars: bool = False
    rounds: int | None = None


class Halts(NamedTuple):
    """From a block command to the halt of the contact's run, at a constant rate for a while."""

    name: str
    about: str
    rate: int
    seconds: float
    rounds: int | None = None


class Commands(NamedTuple):
    """From a command to its result: one after the other, at a constant rate.

    `ask`: the command with this number, given the ids of those before it. The first `warming` ones do not count: they
    wait for the worker's start and for plans.
    """

    name: str
    about: str
    rate: float
    seconds: float
    past: Past
    ask: Callable[[int, Sequence[str]], Json]
    warming: int
    rounds: int | None = None


class _Message(msgspec.Struct):
    received_at: datetime


class _Control(msgspec.Struct):
    control: str
    run_id: str


class _Result(msgspec.Struct):
    command_id: str
    outcome: str


_MESSAGE: Final = msgspec.json.Decoder(_Message)
_TOLD: Final = msgspec.json.Decoder(_Control)
_ANSWER: Final = msgspec.json.Decoder(_Result)


def steady(stage: Stage, side: Steady, number: int, tell: Tell) -> Latency:
    """One measurement in a new database."""
    name = f"{side.name}-{number}".replace("-", "_")
    stage.topics(PREFIX)
    stage.offsets.forget(f"{PREFIX}messages.inbound")
    database = stage.database(name, side.past)
    dice = Random(number)

    def greet(n: int) -> Wire:
        return message(n, "acme", n, datetime.now(UTC))

    def say(n: int) -> Wire:
        return message(CONTACTS + n, "acme", dice.randrange(CONTACTS), datetime.now(UTC))

    before = stage.offsets.ends([ACCEPTED])
    command = command_of(stage, side.module, database, PREFIX, name, side.arguments)
    with running(name, command, 1, stage.folder) as (process,):
        if side.regulars:
            greeted = paced(stage, greet, 2 * side.rate, CONTACTS / (2 * side.rate), tell)
            before = until(stage, ACCEPTED, before, greeted, process)
        began, used = time.time(), cpu_of([process.pid])[0]
        count = paced(stage, say, side.rate, side.seconds, tell)
        used = (cpu_of([process.pid])[0] - used) / side.seconds * 100
        after = until(stage, ACCEPTED, before, count, process)
    stage.drop(name)
    sent = ((_MESSAGE.decode(value).received_at.timestamp(), at) for value, at in read(stage, before, after))
    taken = [at - s * 1000 + _HALF_A_MILLISECOND for s, at in sent if s > began + _WARMING_UP_S]
    return latency_of(side.name, number, taken, used)


def halts(stage: Stage, side: Halts, number: int, tell: Tell) -> Latency:
    """One measurement: every contact has one run; the contacts are blocked one after the other."""
    name = f"{side.name}-{number}".replace("-", "_")
    stage.topics(PREFIX)
    for topic in ("workflows.events", "contacts.commands"):
        stage.offsets.forget(PREFIX + topic)
    database = stage.database(name, Past(CONTACTS, CONTACTS))
    asked: dict[str, float] = {}

    def begin(n: int) -> Wire:
        return start(f"{name}-{n}", identity(address(n)))

    def ask(n: int) -> Wire:
        command = block(n)
        asked[f"{name}-{n}"] = time.time() * 1000
        return command

    command = command_of(stage, "sluice", database, PREFIX, name, ("commands", "workflows"))
    with running(name, command, 1, stage.folder) as (process,):
        begun = paced(stage, begin, 1_000, side.rate * side.seconds / 1_000, tell)
        _committed(stage, f"{name}-workflows", f"{PREFIX}workflows.events", begun, process)
        before = stage.offsets.ends([_CONTROL])
        used = cpu_of([process.pid])[0]
        count = paced(stage, ask, side.rate, side.seconds, tell)
        used = (cpu_of([process.pid])[0] - used) / side.seconds * 100
        after = until(stage, _CONTROL, before, count, process)
    stage.drop(name)
    told = ((_TOLD.decode(value), at) for value, at in read(stage, before, after))
    taken = [at - asked[fact.run_id] + _HALF_A_MILLISECOND for fact, at in told if fact.control == "run_halted"]
    return latency_of(side.name, number, taken, used)


def commands(stage: Stage, side: Commands, number: int, tell: Tell) -> Latency:
    """One measurement of commands that are all to be done.

    Raises:
        SideFailed: a command was refused.
    """
    name = f"{side.name}-{number}".replace("-", "_")
    stage.topics(PREFIX)
    stage.offsets.forget(f"{PREFIX}contacts.commands")
    database = stage.database(name, side.past)
    asked: dict[str, float] = {}
    ids: list[str] = []

    def ask(n: int) -> Wire:
        given = side.ask(n, ids)
        ids.append(given["command_id"])
        asked[ids[-1]] = time.time() * 1000
        return wire(given)

    command = command_of(stage, "sluice", database, PREFIX, name, ("commands",))
    with running(name, command, 1, stage.folder) as (process,):
        before = stage.offsets.ends([_RESULTS])
        used = cpu_of([process.pid])[0]
        count = paced(stage, ask, side.rate, side.seconds, tell)
        used = (cpu_of([process.pid])[0] - used) / side.seconds * 100
        after = until(stage, _RESULTS, before, count, process)
        told = [(_ANSWER.decode(value), at) for value, at in read(stage, before, after)]
        if any(answer.outcome != "done" for answer, _ in told):
            raise process.failed("refused a command")
    stage.drop(name)
    late = set(ids[side.warming :])
    taken = [at - asked[a.command_id] + _HALF_A_MILLISECOND for a, at in told if a.command_id in late]
    return latency_of(side.name, number, taken, used)


def paced(
    stage: Stage, say: Callable[[int], Wire], rate: float, seconds: float, tell: Tell, over: Event | None = None
) -> int:
    """Produces the results of `say` evenly over the time, or until it is over. Returns how many."""
    count, sent = round(rate * seconds), 0
    producing = producer(stage.bootstrap, linger_ms=0)
    began = time.perf_counter()
    while sent < count and not (over is not None and over.is_set()):
        due = min(count, 1 + int((time.perf_counter() - began) * rate))
        for n in range(sent, due):
            topic, key, value = say(n)
            producing.produce(PREFIX + topic, value, key)
        sent = due
        producing.poll(0)
        tell(sent)
        time.sleep(min(0.02, 1 / rate))
    producing.flush(_PATIENCE_S)
    return sent


def until(stage: Stage, topic: str, before: Ends, count: int, process: SideProcess) -> Ends:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        after = stage.offsets.ends([topic])
        if sum(after.values()) - sum(before.values()) >= count:
            return after
        _require(process, deadline)


def _committed(stage: Stage, group: str, topic: str, count: int, process: SideProcess) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while sum(stage.offsets.committed(group, [topic]).values()) < count:
        _require(process, deadline)


def _require(process: SideProcess, deadline: float) -> None:
    process.check()
    if time.monotonic() > deadline:
        raise process.failed("stands still")
    time.sleep(0.05)


def read(stage: Stage, before: Ends, after: Ends) -> Iterator[tuple[bytes, int]]:
    """Values of outputs with the broker's timestamps in milliseconds."""
    reading = Consumer({"bootstrap.servers": stage.bootstrap, "group.id": "reading", "log_level": 2})
    reading.assign([TopicPartition(topic, partition, at) for (topic, partition), at in before.items()])
    left = sum(after.values()) - sum(before.values())
    while left > 0:
        for record in reading.consume(10_000, timeout=1.0):
            left -= 1
            yield record.value() or b"", record.timestamp()[1]
    reading.close()


def latency_of(side: str, number: int, taken: Sequence[float], worker_cpu: float) -> Latency:
    ordered = sorted(taken)
    return Latency(
        side=side,
        round=number,
        records=len(ordered),
        p50=_quantile(ordered, 0.5),
        p99=_quantile(ordered, 0.99),
        p999=_quantile(ordered, 0.999),
        worst=round(ordered[-1], 1),
        worker_cpu=round(worker_cpu, 1),
    )


def _quantile(ordered: Sequence[float], share: float) -> float:
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1)
