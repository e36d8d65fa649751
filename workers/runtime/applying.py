"""Steps 3 to 6 of the commit order for one poll, whatever gets in the way: conflicts, bad data, lost leases, lost
connections. Either the whole poll is committed or nothing of it, but for partitions that are not ours any more.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import chain
from typing import Any, Final, NamedTuple

import structlog

from workers.errors import ApplyFailed, RetryBatch, SluiceError
from workers.runtime.batch import Batch, Connection, Output, Record, Source, WorkerSpec
from workers.runtime.effects import effects, shared_keys
from workers.runtime.intake import Part, Position
from workers.runtime.line import NOTHING_ACCEPTED, AcceptedBad, first_halt
from workers.runtime.patience import Room
from workers.runtime.ports import DeadLetter, Effects, Ledger, OwedKey, Probe
from workers.runtime.telemetry import DEAD, FENCED, KEYLESS, MISROUTED, RECORDS, RETRIES, TRANSACTION
from workers.store.failures import (
    BadData,
    Conflict,
    ConnectionLost,
    Exhausted,
    Fenced,
    StoreFailure,
    savepoint,
    translated,
)

MOST_CONFLICTS: Final = 50
MOST_LOST_CONNECTIONS: Final = 5
_PAUSE_S: Final = 0.01
_LONGEST_PAUSE_S: Final = 0.25

log = structlog.get_logger()


class Applied(NamedTuple):
    """A committed poll. `lost` are partitions that turned out not to be ours; `halted` where the line stops."""

    parts: Sequence[Part]
    effects: Effects
    lost: frozenset[Source]
    halted: Mapping[Source, int]


class _TooManyBad(Exception):  # noqa: N818 - leaves the transaction; the verdict itself is a value
    def __init__(self, halted: Mapping[Source, int]) -> None:
        super().__init__()
        self.halted = halted


class Applier:
    """Applies polls of one worker."""

    def __init__(
        self,
        spec: WorkerSpec,
        ledger: Ledger,
        probe: Probe,
        accepted: AcceptedBad = NOTHING_ACCEPTED,
        unreachable_after_s: float = 60.0,
    ) -> None:
        self._spec = spec
        self._ledger = ledger
        self._probe = probe
        self._accepted = accepted
        self._unreachable_after_s = unreachable_after_s

    async def apply(
        self, parts: Sequence[Part], positions: Mapping[Source, Position], settled: Sequence[OwedKey]
    ) -> Applied:
        """Commits the poll.

        Raises:
            ApplyFailed: the worker's rules raised, or conflicts would not end.
            Unreachable, SetupError: PostgreSQL is gone, or refuses a right.
        """
        with TRANSACTION.labels(self._spec.name).time():
            applied = await self._apply(parts, positions, settled)
        self._count(applied)
        return applied

    def _count(self, applied: Applied) -> None:
        begins = self._spec.key_begins
        for part in applied.parts:
            RECORDS.labels(self._spec.name, part.source.topic).inc(len(part.raw))
            keyless = [raw for raw in part.raw if raw.key is None]
            KEYLESS.labels(self._spec.name, part.source.topic).inc(len(keyless))
            misrouted = sum(r.key is not None and not r.key.startswith(begins(r.value)) for r in part.records)
            MISROUTED.labels(self._spec.name, part.source.topic).inc(misrouted)
        for letter in applied.effects.dead:
            DEAD.labels(self._spec.name, letter.source.topic).inc()
        FENCED.labels(self._spec.name).inc(len(applied.lost))

    async def _apply(
        self, parts: Sequence[Part], positions: Mapping[Source, Position], settled: Sequence[OwedKey]
    ) -> Applied:
        halted = _halts(parts, positions, self._accepted, [])
        attempt = _Attempt(self._spec, self._ledger, positions, _cut(parts, halted), self._probe, self._accepted)
        lost: set[Source] = set()
        conflicts = disconnects = 0
        room = Room(self._unreachable_after_s)
        while attempt.parts:
            try:
                await self._ledger.transact(attempt.steps(), attempt.body, settled)
                break
            except Fenced as fenced:
                if fenced.committed == {part.source for part in attempt.parts}:
                    break  # the COMMIT whose answer was lost had reached the server
                if not fenced.lost:
                    raise ApplyFailed(f"{attempt.described()}: committed in part: {fenced}") from fenced
                lost |= fenced.lost
                attempt.without(fenced.lost)
            except BadData:
                attempt.split()
            except _TooManyBad as found:
                halted = {**halted, **found.halted}
                attempt.cut(found.halted)
            except (Conflict, RetryBatch) as conflict:
                conflicts += 1
                RETRIES.labels(self._spec.name, type(conflict).__name__).inc()
                if conflicts > MOST_CONFLICTS:
                    raise ApplyFailed(f"{attempt.described()}: conflicts do not end: {conflict}") from conflict
                await asyncio.sleep(min(_LONGEST_PAUSE_S, _PAUSE_S * conflicts))
            except Exhausted as full:
                RETRIES.labels(self._spec.name, "Exhausted").inc()
                await room.wait(full)
                await self._ledger.reconnect()
            except ConnectionLost as gone:
                disconnects += 1
                RETRIES.labels(self._spec.name, "ConnectionLost").inc()
                if disconnects > MOST_LOST_CONNECTIONS:
                    raise ApplyFailed(f"{attempt.described()}: every attempt loses its connection: {gone}") from gone
                log.warning("The connection to PostgreSQL was lost; trying again.", action="connection_lost")
                await self._ledger.reconnect()
        # Where the line of a lost partition stops is for its new owner to find.
        halted = {source: offset for source, offset in halted.items() if source not in lost}
        return Applied(attempt.parts, attempt.effects, frozenset(lost), halted)


class _Attempt:
    """What is tried, and what the last try came to: it changes only between transactions."""

    def __init__(
        self,
        spec: WorkerSpec,
        ledger: Ledger,
        positions: Mapping[Source, Position],
        parts: Sequence[Part],
        probe: Probe,
        accepted: AcceptedBad,
    ) -> None:
        self.parts = list(parts)
        self.effects = Effects((), ())
        self._spec = spec
        self._ledger = ledger
        self._positions = positions
        self._probe = probe
        self._accepted = accepted
        self._splitting = 0

    def steps(self) -> list[Any]:
        return [part.step(self._positions[part.source].next_offset) for part in self.parts]

    def without(self, lost: frozenset[Source]) -> None:
        self.parts = [part for part in self.parts if part.source not in lost]
        self.effects = Effects(
            [owed for owed in self.effects.owed if owed.key.source not in lost],
            [letter for letter in self.effects.dead if letter.source not in lost],
        )

    def cut(self, halted: Mapping[Source, int]) -> None:
        self.parts = _cut(self.parts, halted)
        # What an earlier try came to was never committed, and if nothing is left there is no later one.
        self.effects = Effects((), ())

    def split(self) -> None:
        """From now on in halves, down to the record that the database refuses.

        Raises:
            ApplyFailed: that was already so: what is refused is no record's fault.
        """
        if self._splitting:
            raise ApplyFailed(f"{self.described()}: the database refuses what belongs to no single record")
        self._splitting = 1

    def described(self) -> str:
        return f"{self._spec.name} on {_described([(p.source, p.raw[0].offset, p.end - 1) for p in self.parts])}"

    async def body(self, tx: Connection, now: datetime) -> Effects:
        records = list(chain.from_iterable(part.records for part in self.parts))
        refused: list[tuple[Record[Any], str]] = []
        if self._splitting:
            outputs = await self._in_halves(tx, records, now, refused)
        else:
            outputs = await self._apply(tx, records, now)
        await self._probe("applied")
        dead = self._dead(refused)
        if refused:
            halted = _halts(self.parts, self._positions, self._accepted, dead)
            if halted:
                raise _TooManyBad(halted)
        earlier = await self._ledger.earlier(keys) if (keys := shared_keys(output.fact for output in outputs)) else ()
        self.effects = effects(outputs, dead, {part.source: part.end for part in self.parts}, earlier)
        return self.effects

    async def _apply(self, tx: Connection, records: Sequence[Record[Any]], now: datetime) -> list[Output]:
        if not records:
            return []
        async with _naming(self._spec, records), translated(tx):
            return await self._spec.apply(tx, Batch(records, now))

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


def _halts(
    parts: Sequence[Part],
    positions: Mapping[Source, Position],
    accepted: AcceptedBad,
    dead: Sequence[DeadLetter],
) -> dict[Source, int]:
    """Where the line stops, by partition; `dead` are all bad records of the parts, if more than decoding found."""
    halts = {}
    for part in parts:
        found = [d.raw.offset for d in dead if d.source == part.source] or [d.raw.offset for d in part.dead]
        accepted_until = accepted.get(part.source, 0)
        halt = first_halt(positions[part.source].bad, found, accepted_until) if found else None
        if halt is not None:
            halts[part.source] = halt
    return halts


def _cut(parts: Sequence[Part], halted: Mapping[Source, int]) -> list[Part]:
    kept = [part.before(halted[part.source]) if part.source in halted else part for part in parts]
    return [part for part in kept if part is not None]


def _described(ranges: Sequence[tuple[Source, int, int]]) -> str:
    return ", ".join(f"{s.topic}[{s.partition}] offsets {first} to {last}" for s, first, last in ranges)


@asynccontextmanager
async def _naming(spec: WorkerSpec, records: Sequence[Record[Any]]) -> AsyncIterator[None]:
    """Names the offsets when the rules raise: a bug is not a bad record, and somebody must find it.

    Raises:
        ApplyFailed: from what was raised; failures of the store and errors with a remedy pass.
    """
    try:
        yield
    except (StoreFailure, RetryBatch, SluiceError, asyncio.CancelledError):
        raise
    except BaseException as error:
        ranges: dict[Source, tuple[Source, int, int]] = {}
        for record in records:
            first = ranges.get(record.source, (record.source, record.offset, 0))[1]
            ranges[record.source] = (record.source, first, record.offset)
        raise ApplyFailed(
            f"{spec.name}: {type(error).__name__} while applying {_described(list(ranges.values()))}"
        ) from error
