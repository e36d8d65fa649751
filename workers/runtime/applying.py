"""Commits one poll, or portions of it, or nothing (steps 3 to 6), despite conflicts, bad data, lost leases and lost
connections, and transactions that are too much for the database.
"""

import asyncio
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

import structlog

from workers.errors import ApplyFailed, RetryBatch, SluiceError
from workers.process.metrics.of_workers import BATCH, CONFLICTS, FENCED, KEYLESS, MISROUTED, RECORDS, TRANSACTION
from workers.records import TOO_COSTLY, Noted, OutboxKey, Output, Partition, SetAside, Trial
from workers.runtime import dead_letter_log, verdicts
from workers.runtime.bad_record_limit import NOTHING_ACCEPTED, AcceptedBad
from workers.runtime.decoding import Part, Position
from workers.runtime.portions import MOST_ENDED, divide, ends_its_owners, grown, portion, trial
from workers.runtime.ports import Effects, Ledger, Probe
from workers.runtime.retry_policy import RetryPolicy
from workers.runtime.transaction_attempt import BatchAttempt, TooManyBad, cut_off, described, halts
from workers.runtime.worker_spec import WorkerSpec
from workers.store.failures import BadData, Conflict, ConnectionLost, Fenced, Interrupted, StoreFailure, TooMuch

_HESITATION_S: Final = 1.0

log = structlog.get_logger()


class Applied(NamedTuple):
    """A committed portion. `lost`: partitions that another worker owns. `halted`: where the worker halts. `outputs` and
    `noted`: what it decided, for the metrics.
    """

    parts: Sequence[Part]
    effects: Effects
    lost: frozenset[Partition]
    halted: Mapping[Partition, int]
    outputs: Sequence[Output]
    noted: Mapping[Noted, int]


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
        self._costly_in_a_row = 0
        self.moved_at = 0.0
        """Event-loop time of the last commit or division."""

    async def apply(
        self, parts: Sequence[Part], positions: Mapping[Partition, Position], published: Sequence[OutboxKey]
    ) -> Applied:
        """Commits the poll, or a portion of it if a partition has a pace. Gives partitions that are too much a pace.

        Raises:
            ApplyFailed: the worker's rules raised, or conflicts did not end.
            Unreachable, SetupError: PostgreSQL does not answer, or refuses a right.
        """
        loop = asyncio.get_running_loop()
        lost: set[Partition] = set()
        with TRANSACTION.labels(self._spec.name).time():
            while True:
                some, began = portion(parts, positions), loop.time()
                try:
                    applied = await self._apply(some, positions, published, lost)
                    break
                except TooMuch as failure:
                    # A partition that was lost meanwhile stays lost.
                    parts, some = ([part for part in each if part.source not in lost] for each in (parts, some))
                    self._divide(some, positions, failure)
        self.moved_at = loop.time()
        for part in applied.parts:
            positions[part.source].pace = grown(positions[part.source].pace, part, self.moved_at - began)
        self._count(applied)
        return applied

    def _divide(self, parts: Sequence[Part], positions: Mapping[Partition, Position], failure: TooMuch) -> None:
        self.moved_at = asyncio.get_running_loop().time()
        divide(parts, positions)
        log.warning(
            "A batch is too much for one transaction; it is divided.",
            action="batch_divided",
            batch=described(parts),
            records=sum(len(part.raw) for part in parts),
            reason=str(failure),
        )

    def _count(self, applied: Applied) -> None:
        begins = self._spec.key_begins
        for part in applied.parts:
            RECORDS.labels(self._spec.name, part.source.topic).inc(len(part.raw))
            keyless = [raw for raw in part.raw if raw.key is None]
            KEYLESS.labels(self._spec.name, part.source.topic).inc(len(keyless))
            misrouted = sum(r.key is not None and not r.key.startswith(begins(r.value)) for r in part.records)
            MISROUTED.labels(self._spec.name, part.source.topic).inc(misrouted)
        BATCH.labels(self._spec.name).observe(sum(len(part.raw) for part in applied.parts))
        verdicts.count(self._spec.name, [output.event for output in applied.outputs])
        CONFLICTS.labels(self._spec.name).inc(applied.noted.get("conflict", 0))
        dead_letter_log.log_dead_letters(self._spec.name, applied.effects.dead)
        FENCED.labels(self._spec.name).inc(len(applied.lost))
        costly = sum(letter.error.startswith(TOO_COSTLY) for letter in applied.effects.dead)
        others = sum(len(part.records) for part in applied.parts) - costly
        self._costly_in_a_row = costly + (0 if others else self._costly_in_a_row)

    async def _apply(
        self,
        parts: Sequence[Part],
        positions: Mapping[Partition, Position],
        published: Sequence[OutboxKey],
        lost: set[Partition],
    ) -> Applied:
        halted = halts(parts, positions, self._accepted, [])
        attempt = BatchAttempt(self._spec, self._ledger, positions, cut_off(parts, halted), self._probe, self._accepted)
        wanted = trial(attempt.parts, positions)
        if ends_its_owners(wanted):
            attempt.set_all_aside(f"{TOO_COSTLY}{MOST_ENDED} owners in a row ended when they tried it alone")
            wanted = None
        try:
            return await self._tried(attempt, halted, published, wanted, lost)
        except SluiceError as error:
            # A bug is not a bad record, however often it ends a worker.
            if wanted is not None and not isinstance(error.__cause__, Interrupted):
                with suppress(StoreFailure):
                    await self._ledger.tries(wanted[0], None)
            raise

    async def _tried(
        self,
        attempt: BatchAttempt,
        halted: Mapping[Partition, int],
        published: Sequence[OutboxKey],
        wanted: tuple[Partition, Trial] | None,
        lost: set[Partition],
    ) -> Applied:
        retry_policy = RetryPolicy(
            self._spec.name, attempt, self._ledger, self._unreachable_after_s, self._costly_in_a_row
        )
        while attempt.parts:
            try:
                if wanted is not None:
                    await self._write_down(*wanted)
                await self._ledger.transact(attempt.steps(), attempt.body, published)
                break
            except Fenced as fenced:
                if fenced.committed == {part.source for part in attempt.parts}:
                    break  # the COMMIT reached the server although its answer was lost
                if not fenced.lost:
                    raise ApplyFailed(f"{attempt.described()}: committed in part: {fenced}") from fenced
                lost |= fenced.lost
                attempt.without(fenced.lost)
            except BadData:
                attempt.split()
            except SetAside as refused:
                attempt.set_aside(refused.errors)
            except TooManyBad as found:
                halted = {**halted, **found.halted}
                attempt.cut(found.halted)
            except (Conflict, RetryBatch, ConnectionLost, TooMuch) as passing:
                await retry_policy.failed_with(passing)
        # The new owner of a lost partition finds out where it halts.
        halted = {source: offset for source, offset in halted.items() if source not in lost}
        return Applied(attempt.parts, attempt.effects, frozenset(lost), halted, attempt.outputs, attempt.noted)

    async def _write_down(self, source: Partition, tried: Trial) -> None:
        if tried.times > 1:
            # Another cause may end workers soon after each start. A varying delay keeps it from always hitting this.
            chance = zlib.crc32(f"{self._spec.name} {source} {tried}".encode()) % 1_000 / 1_000
            await asyncio.sleep(_HESITATION_S * chance)
        await self._ledger.tries(source, tried)
