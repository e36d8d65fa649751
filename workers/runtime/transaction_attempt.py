"""One attempt to commit a poll or a portion of it: the records left to apply, and the last transaction's result."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import chain
from typing import Any

from workers.errors import ApplyFailed, RetryBatch, SluiceError
from workers.records import Advance, Batch, DeadLetter, Noted, Output, Partition, Record, SetAside
from workers.runtime.bad_record_limit import AcceptedBad, first_halt, is_bad
from workers.runtime.decoding import Part, Position
from workers.runtime.outbox_rows import effects, shared_keys
from workers.runtime.ports import Effects, Ledger, Probe
from workers.runtime.worker_spec import WorkerSpec
from workers.store.connection import Connection
from workers.store.failures import BadData, StoreFailure, savepoint, translated


class TooManyBad(Exception):  # noqa: N818 - leaves the transaction; the verdict itself is a value
    """Too many records are bad: the worker halts at these offsets."""

    def __init__(self, halted: Mapping[Partition, int]) -> None:
        super().__init__()
        self.halted = halted


class BatchAttempt:
    """What the next transaction applies, and the result of the last one. Changes only between transactions."""

    def __init__(
        self,
        spec: WorkerSpec,
        ledger: Ledger,
        positions: Mapping[Partition, Position],
        parts: Sequence[Part],
        probe: Probe,
        accepted: AcceptedBad,
    ) -> None:
        self.parts = list(parts)
        self.effects = Effects((), ())
        self.outputs: Sequence[Output] = ()
        self.noted: Counter[Noted] = Counter()
        self._spec = spec
        self._ledger = ledger
        self._positions = positions
        self._probe = probe
        self._accepted = accepted
        self._splitting = False
        self._aside: dict[tuple[Partition, int], str] = {}

    def steps(self) -> list[Any]:
        return [part.step(self._positions[part.source].next_offset) for part in self.parts]

    def without(self, lost: frozenset[Partition]) -> None:
        self.parts = [part for part in self.parts if part.source not in lost]
        self.effects = Effects(
            [row for row in self.effects.outbox if row.key.source not in lost],
            [letter for letter in self.effects.dead if letter.source not in lost],
        )
        self.outputs = [output for output in self.outputs if output.source not in lost]

    def cut(self, halted: Mapping[Partition, int]) -> None:
        self.parts = cut_off(self.parts, halted)
        # The result of an earlier attempt was never committed, and if nothing is left there is no later one.
        self.effects, self.outputs, self.noted = Effects((), ()), (), Counter()

    def split(self) -> None:
        """Applies from now on in halves, down to the record that the database refuses.

        Raises:
            ApplyFailed: it did so already, so no record is at fault.
        """
        if self._splitting:
            raise ApplyFailed(f"{self.described()}: the database refuses a value of no single record")
        self._splitting = True

    def set_aside(self, errors: Mapping[tuple[Partition, int], str]) -> None:
        """Leaves these records out from now on. Raises ApplyFailed if all were left out already."""
        if not errors.keys() - self._aside.keys():
            raise ApplyFailed(f"{self.described()}: the worker sets aside records that are not in the batch")
        self._aside.update(errors)

    def set_all_aside(self, error: str) -> None:
        """Leaves all of its records out from now on."""
        self.set_aside({(record.source, record.offset): error for part in self.parts for record in part.records})

    @property
    def alone(self) -> bool:
        """Whether it has at most one record."""
        return sum(len(part.raw) for part in self.parts) <= 1

    def described(self) -> str:
        return f"{self._spec.name} on {described(self.parts)}"

    async def body(self, tx: Connection, advance: Advance) -> Effects:
        now, watermarks = advance
        self.noted = Counter()
        records = list(chain.from_iterable(part.since_watermark(watermarks.get(part.source)) for part in self.parts))
        refused: list[tuple[Record[Any], str]] = []
        if self._aside:
            refused = [(r, error) for r in records if (error := self._aside.get((r.source, r.offset))) is not None]
            records = [r for r in records if (r.source, r.offset) not in self._aside]
        if self._splitting:
            outputs = await self._in_halves(tx, records, now, refused)
        else:
            outputs = await self._apply(tx, records, now)
        await self._probe("applied")
        dead = self._dead(refused)
        if refused:
            halted = halts(self.parts, self._positions, self._accepted, dead)
            if halted:
                raise TooManyBad(halted)
        earlier = await self._ledger.earlier(keys) if (keys := shared_keys(output.event for output in outputs)) else ()
        self.outputs = outputs
        self.effects = effects(outputs, dead, {part.source: part.end for part in self.parts}, now, earlier)
        return self.effects

    async def _apply(self, tx: Connection, records: Sequence[Record[Any]], now: datetime) -> list[Output]:
        if not records:
            return []
        async with _naming(self._spec, records), translated(tx):
            batch = Batch(records, now)
            outputs = await self._spec.apply(tx, batch)
        self.noted += batch.noted
        return outputs

    async def _in_halves(
        self,
        tx: Connection,
        records: Sequence[Record[Any]],
        now: datetime,
        refused: list[tuple[Record[Any], str]],
    ) -> list[Output]:
        try:
            async with savepoint(tx):
                return await self._apply(tx, records, now)
        except BadData as error:
            if len(records) == 1:
                refused.append((records[0], str(error)))
                return []
        half = len(records) // 2
        first = await self._in_halves(tx, records[:half], now, refused)
        return first + await self._in_halves(tx, records[half:], now, refused)

    def _dead(self, refused: Sequence[tuple[Record[Any], str]]) -> list[DeadLetter]:
        raws = {(part.source, raw.offset): raw for part in self.parts for raw in part.raw} if refused else {}
        found = [DeadLetter(record.source, raws[record.source, record.offset], error) for record, error in refused]
        known = [letter for part in self.parts for letter in part.dead]
        return sorted(known + found, key=lambda letter: (letter.source, letter.raw.offset))


def halts(
    parts: Sequence[Part],
    positions: Mapping[Partition, Position],
    accepted: AcceptedBad,
    dead: Sequence[DeadLetter],
) -> dict[Partition, int]:
    """Where the worker halts, by partition. `dead` has all bad records of the parts."""
    offsets = {}
    for part in parts:
        letters = [d for d in dead if d.source == part.source] or part.dead
        found = [d.raw.offset for d in letters if is_bad(d.error)]
        accepted_until = accepted.get(part.source, 0)
        halt = first_halt(positions[part.source].bad, found, accepted_until) if found else None
        if halt is not None:
            offsets[part.source] = halt
    return offsets


def cut_off(parts: Sequence[Part], halted: Mapping[Partition, int]) -> list[Part]:
    """The records before the offsets at which the worker halts."""
    kept = [part.before(halted[part.source]) if part.source in halted else part for part in parts]
    return [part for part in kept if part is not None]


def described(parts: Sequence[Part]) -> str:
    """Topics, partitions and offsets, for people."""
    return _described([(part.source, part.raw[0].offset, part.end - 1) for part in parts if part.raw])


def _described(ranges: Sequence[tuple[Partition, int, int]]) -> str:
    return ", ".join(f"{s.topic}[{s.partition}] offsets {first} to {last}" for s, first, last in ranges)


@asynccontextmanager
async def _naming(spec: WorkerSpec, records: Sequence[Record[Any]]) -> AsyncIterator[None]:
    """Names the offsets when the rules raise. A bug is not a bad record: an operator must find it.

    Raises:
        ApplyFailed: wraps what was raised. Failures of the store and errors with a remedy pass unchanged.
    """
    try:
        yield
    except (StoreFailure, RetryBatch, SetAside, SluiceError, asyncio.CancelledError):
        raise
    except BaseException as error:
        ranges: dict[Partition, tuple[Partition, int, int]] = {}
        for record in records:
            first = ranges.get(record.source, (record.source, record.offset, 0))[1]
            ranges[record.source] = (record.source, first, record.offset)
        raise ApplyFailed(
            f"{spec.name}: {type(error).__name__} while applying {_described(list(ranges.values()))}"
        ) from error
