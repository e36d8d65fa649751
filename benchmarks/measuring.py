"""Measures throughput of one side, from its first assignment until all records are done, from outside."""

import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from benchmarks.processes import SideProcess, python_of, running
from benchmarks.result import Throughput
from benchmarks.stage import Past, Stage
from benchmarks.usage import Usage, peak_memory
from benchmarks.watching import Ends

_SELDOM_S: Final = 0.25
_OFTEN_S: Final = 0.003
_STANDSTILL_S: Final = 60.0

Tell = Callable[[int], None]
"""Receives the number of records that are done."""


class Side(NamedTuple):
    """A side whose throughput can be measured.

    `module` is a file of `benchmarks/sides`, with its own `arguments`; it is measured over `records`. `load` is the
    prefix of its topics. With `inputs`, records are done when its group has committed them; else when it has published
    them, accepted or dropped. A `kept` database is used in all rounds. `apart` is the partition of a flood: the rate of
    the others is reported as well.
    """

    name: str
    about: str
    module: str
    arguments: tuple[str, ...]
    records: int
    load: str = "base"
    past: Past = Past()
    kept: bool = False
    processes: int = 1
    inputs: tuple[str, ...] = ()
    apart: int | None = None
    rounds: int | None = None


class Reading(NamedTuple):
    """What is done after a number of seconds; `others` leaves out the partition of the flood."""

    at: float
    done: int
    others: int


def command_of(
    stage: Stage, module: str, database: str, prefix: str, group: str, arguments: Sequence[str]
) -> list[str]:
    """The command line of one process of a side."""
    return [
        python_of(module),
        "-m",
        f"benchmarks.sides.{module}",
        stage.bootstrap,
        database,
        prefix,
        group,
        *arguments,
    ]


def measure(stage: Stage, side: Side, number: int, tell: Tell) -> Throughput:
    """One measurement; `number` is its round's.

    Raises:
        SideFailed: the side ended or made no progress.
    """
    name = f"{side.name}-{number}".replace("-", "_")
    group = side.name if side.kept else name
    database = stage.kept_database(side.past) if side.kept else stage.database(name, side.past)
    command = command_of(stage, side.module, database, f"{side.load}.", group, side.arguments)
    with running(name, command, side.processes, stage.folder) as processes:
        readings, used, memory = _watch(stage, side, group, database, processes, tell)
    if not side.kept:
        stage.drop(name)
    return _result(side, number, readings, used, memory)


def _watch(
    stage: Stage, side: Side, group: str, database: str, processes: Sequence[SideProcess], tell: Tell
) -> tuple[list[Reading], Usage, float]:
    pids = [process.pid for process in processes]
    began, first = time.perf_counter(), _ends(stage, side, group)
    before = stage.usage(database, pids)
    readings = [Reading(0.0, 0, 0)]
    moved = began
    while readings[-1].done < side.records:
        time.sleep(_until_next(readings[-1], side.records))
        ends, now = _ends(stage, side, group), time.perf_counter()
        grown = {where: end - first.get(where, 0) for where, end in ends.items()}
        others = sum(n for (_, partition), n in grown.items() if partition != side.apart)
        readings.append(Reading(now - began, sum(grown.values()), others))
        tell(readings[-1].done)
        moved = now if readings[-1].done > readings[-2].done else moved
        _require_life(processes, now - moved)
    used = stage.usage(database, pids).since(before)
    return readings, used, max(peak_memory(pid) for pid in pids)


def _ends(stage: Stage, side: Side, group: str) -> Ends:
    if side.inputs:
        return stage.offsets.committed(f"{group}-{side.arguments[0]}", [f"{side.load}.{t}" for t in side.inputs])
    return stage.offsets.ends([f"{side.load}.messages.accepted", f"{side.load}.messages.dropped"])


def _until_next(last: Reading, count: int) -> float:
    """The pause to the next reading: long at first, because reading costs CPU as well; short near the end."""
    if not last.done:
        return _SELDOM_S / 5
    left = (count - last.done) * last.at / last.done
    return min(_SELDOM_S, max(_OFTEN_S, left / 3))


def _require_life(processes: Sequence[SideProcess], still_s: float) -> None:
    for process in processes:
        process.check()
        if still_s > _STANDSTILL_S:
            raise process.failed("stands still")


def _result(side: Side, number: int, readings: Sequence[Reading], used: Usage, memory: float) -> Throughput:
    done, seconds = readings[-1].done, readings[-1].at
    per_100_000 = 100_000 / done
    return Throughput(
        side=side.name,
        round=number,
        records=done,
        seconds=round(seconds, 3),
        rate=round(done / seconds, 1),
        worker_cpu=round(used.worker * per_100_000, 2),
        postgres_cpu=round(used.postgres * per_100_000, 2),
        kafka_cpu=round(used.kafka * per_100_000, 2),
        wal=round(used.wal / done),
        disk=round(used.disk / done),
        memory=round(memory, 1),
        others=None if side.apart is None else round(_rate_of_others(readings), 1),
        samples=[(round(r.at, 3), r.done) for r in readings],
    )


def _rate_of_others(readings: Sequence[Reading]) -> float:
    """The rate until the last of their records was done, without the rest of the flood."""
    last = max(now.at for before, now in pairwise(readings) if now.others > before.others)
    return readings[-1].others / last
