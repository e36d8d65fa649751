"""Planted bugs: pieces of the engine with one guard taken out each, and the database's side of the fence with a hole.

A simulation that does not find them would prove nothing. Some of them were the engine's own, until it found them.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, Final
from unittest import mock

from tests.simulation import oracle
from tests.simulation.database import Database, Session
from tests.simulation.ports import SimLedger
from tests.simulation.schedule import Climate
from tests.simulation.slots import Parts
from workers.records import Lease, OutboxKey, OutboxRow, Partition, PartitionStep, Slice, Trial, UnpublishedEvent
from workers.runtime import applying, decoding, portions, transaction_attempt
from workers.runtime.applying import Applied, Applier
from workers.runtime.bad_record_limit import NOTHING_ACCEPTED, AcceptedBad
from workers.runtime.decoding import Pace, Part, Position
from workers.runtime.handover import HandOver
from workers.runtime.lanes import Lane, Lanes
from workers.runtime.loop import Loop
from workers.runtime.ports import Assigned, Body, Effects, Idle, InputTopics, Ledger, OutputTopics, Probe
from workers.runtime.publishing import Outlet
from workers.runtime.retry_policy import MOST_LOST_CONNECTIONS
from workers.runtime.takeover import TakeOver
from workers.runtime.transaction_attempt import BatchAttempt
from workers.runtime.worker_spec import WorkerSpec
from workers.store.failures import ConnectionLost, Fenced, Interrupted, TransactionWork


def _engine(
    applier: type[Applier] = Applier, outlet: type[Outlet] = Outlet, take_over: type[TakeOver] = TakeOver
) -> Parts:
    class Altered(Loop):
        def __init__(
            self,
            spec: WorkerSpec,
            input_: InputTopics,
            output: OutputTopics,
            ledger: Ledger,
            probe: Probe,
            accepted: AcceptedBad = NOTHING_ACCEPTED,
        ) -> None:
            super().__init__(spec, input_, output, ledger, probe, accepted)
            self._applier = applier(spec, ledger, probe, accepted)
            self._outlet = outlet(input_, output, probe)
            self._take_over = take_over(input_, output, ledger, probe)
            self._hand_over = HandOver(self._outlet, ledger, probe)

    return Parts(loop=Altered)


# --- the fence


class _LeaseNotCompared(Database):
    def stands(self, step: PartitionStep, _lease: int) -> bool:
        row = self.rows.get(step.source)
        return row is not None and row.next_offset == step.first


class _OffsetNotCompared(Database):
    def stands(self, step: PartitionStep, lease: int) -> bool:
        row = self.rows.get(step.source)
        return row is not None and row.lease == lease


class _LostIsApplied(Applier):
    """What turned out to be lost is taken for applied."""

    async def apply(
        self, parts: Sequence[Part], positions: Mapping[Partition, Position], published: Sequence[OutboxKey]
    ) -> Applied:
        applied = await super().apply(parts, positions, published)
        return applied._replace(parts=parts, lost=frozenset())


class _CommittedIsLost(Database):
    """A COMMIT whose answer was lost is taken for one that never was, and the rows for somebody else's."""

    def why(self, session: Session, lease: int, steps: Sequence[PartitionStep], won: Sequence[PartitionStep]) -> Fenced:
        fenced = super().why(session, lease, steps, won)
        return Fenced([*fenced.lost, *fenced.committed], [])


class _LostIsCommitted(SimLedger):
    """A COMMIT whose answer was lost is taken for one that has reached the server."""

    async def transact(self, steps: Sequence[PartitionStep], body: Body, published: Sequence[OutboxKey]) -> Effects:
        try:
            return await super().transact(steps, body, published)
        except ConnectionLost:
            await self.reconnect()
            return Effects((), ())


class _LeaseKept(SimLedger):
    """A lease that was given back, as far as is known, is used again."""

    async def release(self) -> None:
        lease = self._lease
        await self._execute("release", lambda session: self._database.release(session, lease))
        self._renew()


class _LostStopsTheLine(Applier):
    """The line is said to stop in a partition that is not ours any more."""

    async def apply(
        self, parts: Sequence[Part], positions: Mapping[Partition, Position], published: Sequence[OutboxKey]
    ) -> Applied:
        halted = transaction_attempt.halts(parts, positions, self._accepted, [])
        applied = await super().apply(parts, positions, published)
        return applied._replace(halted={**halted, **applied.halted})


# --- the order of COMMIT and publish


class _PublishesBeforeCommit(Loop):
    def __init__(
        self,
        spec: WorkerSpec,
        input_: InputTopics,
        output: OutputTopics,
        ledger: Ledger,
        probe: Probe,
        accepted: AcceptedBad = NOTHING_ACCEPTED,
    ) -> None:
        async def apply(tx: Any, batch: Any) -> list[Any]:
            outputs = await spec.apply(tx, batch)
            await output.publish([one.event for one in outputs])
            return outputs

        super().__init__(WorkerSpec(spec.name, spec.decoders, apply), input_, output, ledger, probe, accepted)


class _CommitsOffsetsFirst(Outlet):
    async def _publish(self, poll: Any) -> None:
        self._offsets.update(poll.offsets)
        await self._commit()
        await super()._publish(poll)


class _PublishesNewestFirst(Outlet):
    async def _publish(self, poll: Any) -> None:
        poll.outbox = [OutboxRow(row.key, row.events[::-1]) for row in poll.outbox]
        await super()._publish(poll)


async def _gives_up(loop: Any, work: Any) -> Any:
    """The connection is lost once too often, and nobody says what that means."""
    for _ in range(MOST_LOST_CONNECTIONS):
        try:
            return await work()
        except ConnectionLost:
            await loop._ledger.reconnect()  # noqa: SLF001 - the piece as it was
    return await work()


def _keep_effects(trial: Any, halted: Mapping[Partition, int]) -> None:
    """What a rolled back try came to is published, if nothing is left for the next one."""
    trial.parts = transaction_attempt.cut_off(trial.parts, halted)


class _OthersNotAsked(SimLedger):
    """What others owe about a shared key is not taken along."""

    async def earlier(self, _keys: Any) -> Sequence[UnpublishedEvent]:
        return ()


# --- the deletion of outbox rows


class _SettlesBeforeAcknowledged(Outlet):
    async def _publish(self, poll: Any) -> None:
        self._published.extend(row.key for row in poll.outbox)
        await super()._publish(poll)


class _SettlesOnLeaving(Outlet):
    """What could not be published in time is settled with the rest."""

    def forget(self) -> None:
        self._published.extend(row.key for poll in self._polls for row in poll.outbox)
        super().forget()


class _SettlesWithoutLease(Database):
    def published(self, _lease: int, keys: Sequence[OutboxKey]) -> list[OutboxRow]:
        return [self.outbox[key] for key in keys if key in self.outbox]


# --- the take-over


class _LeavesOwed(TakeOver):
    async def _publish_outbox(self, source: Partition) -> None:
        """Somebody will."""


class _SettlesFirst(TakeOver):
    async def _publish_outbox(self, source: Partition) -> None:
        for row in await self._ledger.outbox(source):
            await self._ledger.forget_published([row.key])
            await self._output.publish(row.events)


class _NewestOwedFirst(TakeOver):
    async def _publish_outbox(self, source: Partition) -> None:
        for row in reversed(await self._ledger.outbox(source)):
            await self._output.publish(row.events)
            await self._ledger.forget_published([row.key])


class _BelievesKafka(TakeOver):
    """It reads on from where the group stands, as other consumers do."""

    def _stand(self, lease: Lease, bounds: Mapping[Partition, tuple[int, int]]) -> Position:
        if lease.next_offset is None:
            return super()._stand(lease, bounds)
        return Position(lease.next_offset, None, lease.bad)


class _ForgetsBad(TakeOver):
    async def __call__(self, assigned: Assigned) -> dict[Partition, Position]:
        taken = await super().__call__(assigned)
        return {source: Position(at.next_offset, at.unverified, pace=at.pace) for source, at in taken.items()}


# --- portions of what is too much, and heirs


def _with_what_follows(part: Part, pace: Pace | None) -> Part:
    """A portion is applied with what is behind its end, which the next one applies again."""
    return replace(_FIRST(part, pace), records=part.records)


def _as_far_as_the_whole(part: Part, pace: Pace | None) -> Part:
    """A portion moves the partition to where the whole would have."""
    return replace(_FIRST(part, pace), end=part.end)


def _alone_or_not(parts: Sequence[Part], positions: Mapping[Partition, Position]) -> tuple[Partition, Trial] | None:
    """Every record of a portion that ended its owner is taken for the one that did."""
    wanted = _TRIAL(parts, positions)
    if wanted is None or wanted[1].times:
        return wanted
    source, (until, _) = wanted
    tried = getattr(positions[source].pace, "tried", None)
    return source, Trial(until, 1 + (tried.times if tried else 0))


def _of_any_record(pace: Pace, _until: int) -> int:
    """What is known of one record is held against the next."""
    return pace.tried.times if pace.tried is not None else 0


async def _write_nothing(_applier: Applier, _source: Partition, _tried: Trial) -> None:
    """Nobody learns what was tried."""


async def _always_sound(_ledger: SimLedger) -> bool:
    """The server is in order, whatever it says."""
    return True


@asynccontextmanager
async def _lost_at_work(_work: TransactionWork) -> AsyncIterator[None]:
    """A COMMIT whose answer was lost is taken for work that was interrupted."""
    try:
        yield
    except ConnectionLost as lost:
        raise Interrupted(str(lost)) from lost


async def _forgets_lost(
    applier: Applier,
    parts: Sequence[Part],
    positions: Mapping[Partition, Position],
    published: Sequence[OutboxKey],
    _lost: set[Partition],
) -> Applied:
    """What a try found to be lost is forgotten once the rest of it is divided."""
    return await _APPLY(applier, parts, positions, published, set())


_APPLY: Final = Applier._apply  # noqa: SLF001
_FIRST: Final = portions._first  # noqa: SLF001
_TRIAL: Final = portions.trial


@dataclass(frozen=True, slots=True)
class Planted:
    """A bug, the laws of which it may break any first, and the climate in which it is looked for."""

    parts: Parts
    laws: tuple[str, ...]
    climate: Climate = field(default_factory=dict)
    patch: tuple[Any, str, Any] | None = None

    def planted(self) -> AbstractContextManager[Any]:
        return mock.patch.object(*self.patch) if self.patch else nullcontext()


# Some bugs need much to come together: they are looked for where it does.
_REWOUND: Final[Climate] = {
    "blows": ("rewind", "rebalance", "pause"),
    "between_blows_s": 3.0,
    "lasts_s": 40.0,
    "workers": 2,
    "partitions": 1,
    "poll": 1,
    "unacknowledged": 0.2,
    "hanging": 0.9,
    "pause": 0.02,
    "crash": 0,
    "risk": 0,
    "bad": 0,
}
_DISCONNECTED: Final[Climate] = {
    "blows": ("rebalance",),
    "between_blows_s": 2.0,
    "lost": 0.1,
    "workers": 1,
    "lasts_s": 40.0,
    "partitions": 2,
    "crash": 0,
    "pause": 0,
}
_BAD: Final[Climate] = {
    "bad": 0.5,
    "refused": 0,
    "moody": 0,
    "records": 24,
    "partitions": 1,
    "workers": 3,
    "poll": 6,
    "marked": "fence",
    "risk": 0.3,
    "crash": 0,
    "lost": 0,
    "lasts_s": 60.0,
    "blows": (),
}
_MOODY: Final[Climate] = {
    "bad": 0,
    "refused": 0.5,
    "moody": 0.6,
    "records": 24,
    "lasts_s": 60.0,
    "lost": 0.1,
    "poll": 1,
    "partitions": 1,
    "crash": 0,
    "pause": 0,
    "conflict": 0,
    "blows": (),
}


_COSTLY: Final[Climate] = {"costly": 0.2, "heavy": 0.2, "poll": 6}
_HEAVY: Final[Climate] = {"heavy": 0.5, "costly": 0, "deadly": 0, "refused": 0, "moody": 0, "short": 0, "poll": 6}
_DEADLY: Final[Climate] = {"deadly": 0.1, "poll": 6}
_FENCED: Final[Climate] = {
    "costly": 0.4,
    "deadly": 0,
    "pause": 0.05,
    "short": 0.8,
    "workers": 2,
    "partitions": 3,
    "lanes": 1,
    "poll": 6,
    "blows": ("rebalance", "pause", "evict"),
    "between_blows_s": 2.0,
}
_SHORT: Final[Climate] = {"short": 0.8, "costly": 0, "heavy": 0, "deadly": 0}
_LANES: Final[Climate] = {"lanes": 3, "partitions": 3}


def _records_alone(part: Part, position: Position) -> Part | None:
    kept = _CONTINUED(part, position)
    return kept if kept is not None and kept.raw else None


_CONTINUED: Final = decoding._continued  # noqa: SLF001


def _shares_in_turn(lanes: Lanes, slices: Mapping[Partition, Slice]) -> dict[Lane, Any]:
    return {lanes.all[sum(len(part.records) for part in slices.values()) % len(lanes.all)]: slices}


def _changes_hands_unseen(lanes: Lanes, _event: object) -> bool:
    lane_of = lanes._lane_of  # noqa: SLF001
    lanes._lane_of = {source: lanes.all[(lanes.all.index(lane) + 1) % 3] for source, lane in lane_of.items()}  # noqa: SLF001
    return False


BUGS: Final[Mapping[str, Planted]] = {
    "fence: the lease is not compared": Planted(Parts(database=_LeaseNotCompared), (oracle.OWNER,)),
    "fence: the offset is not compared": Planted(Parts(database=_OffsetNotCompared), (oracle.ONCE, oracle.ENDING)),
    "fence: lost partitions are taken for applied": Planted(
        _engine(applier=_LostIsApplied), (oracle.OFFSETS, oracle.ENDING)
    ),
    "fence: committed is taken for lost": Planted(Parts(database=_CommittedIsLost), (oracle.ENDING,)),
    "fence: lost is taken for committed": Planted(
        Parts(ledger=_LostIsCommitted), (oracle.OFFSETS, oracle.DURABLE, oracle.ENDING)
    ),
    "fence: a lost partition stops the line": Planted(_engine(applier=_LostStopsTheLine), (oracle.LINE,), _BAD),
    "fence: what was applied is read again": Planted(
        Parts(), (oracle.ONCE,), patch=(decoding, "_continued", lambda part, _position: part)
    ),
    "positions: only records move them": Planted(
        Parts(), (oracle.REST,), {"markers": 0.6, "poll": 1}, patch=(decoding, "_continued", _records_alone)
    ),
    "fence: a lease is kept": Planted(Parts(ledger=_LeaseKept), (oracle.ENDING, oracle.REST), _DISCONNECTED),
    "order: published before COMMIT": Planted(Parts(loop=_PublishesBeforeCommit), (oracle.DURABLE,)),
    "order: offsets before publishing": Planted(_engine(outlet=_CommitsOffsetsFirst), (oracle.OFFSETS,)),
    "order: newest first": Planted(_engine(outlet=_PublishesNewestFirst), (oracle.ORDER,)),
    "order: others are not asked": Planted(Parts(ledger=_OthersNotAsked), (oracle.ORDER,)),
    "order: effects of a rolled back try": Planted(
        Parts(),
        (oracle.DURABLE,),
        _MOODY,
        (BatchAttempt, "cut", _keep_effects),
    ),
    "deletion: before the acknowledgement": Planted(_engine(outlet=_SettlesBeforeAcknowledged), (oracle.ARRIVES,)),
    "deletion: on leaving": Planted(_engine(outlet=_SettlesOnLeaving), (oracle.ARRIVES,)),
    "deletion: without the lease": Planted(Parts(database=_SettlesWithoutLease), (oracle.ARRIVES,), _REWOUND),
    "take-over: what is owed is left alone": Planted(
        _engine(take_over=_LeavesOwed), (oracle.OFFSETS, oracle.ORDER, oracle.REST, oracle.ENDING)
    ),
    "take-over: settled before published": Planted(_engine(take_over=_SettlesFirst), (oracle.ARRIVES,)),
    "take-over: newest first": Planted(_engine(take_over=_NewestOwedFirst), (oracle.ORDER,)),
    "take-over: Kafka is believed": Planted(_engine(take_over=_BelievesKafka), (oracle.ONCE, oracle.REST)),
    "take-over: bad records are forgotten": Planted(_engine(take_over=_ForgetsBad), (oracle.LINE,)),
    "lanes: a partition goes to any of them": Planted(
        Parts(), (oracle.ONCE, oracle.REST), _LANES, (Lanes, "_shares", _shares_in_turn)
    ),
    "lanes: partitions change them by themselves": Planted(
        Parts(), (oracle.ONCE, oracle.REST), _LANES, (Lanes, "_deals_anew", _changes_hands_unseen)
    ),
    "lanes: partitions change to one that has ended": Planted(
        Parts(), (oracle.REST,), _LANES, (Lanes, "_ending", False)
    ),
    "lanes: what has ended is waited for": Planted(
        Parts(), (oracle.REST,), _LANES, (Lane, "leave", lambda lane: lane.give(Idle()))
    ),
    "portions: one is applied with what follows": Planted(
        Parts(), (oracle.ONCE, oracle.ENDING), _HEAVY, (portions, "_first", _with_what_follows)
    ),
    "portions: the rest is skipped": Planted(
        Parts(), (oracle.ONCE,), _COSTLY, (portions, "_first", _as_far_as_the_whole)
    ),
    "portions: the server's trouble is a record's fault": Planted(
        Parts(), (oracle.LETTERS,), _SHORT, (SimLedger, "sound", _always_sound)
    ),
    "portions: what was lost is forgotten": Planted(
        Parts(), (oracle.ENDING,), _FENCED, (Applier, "_apply", _forgets_lost)
    ),
    "portions: a COMMIT in doubt is divided": Planted(
        Parts(), (oracle.ENDING,), _DISCONNECTED, (TransactionWork, "interruptible", _lost_at_work)
    ),
    "heirs: a deadly record is tried for ever": Planted(
        Parts(), (oracle.REST,), _DEADLY, (applying, "ends_its_owners", lambda _wanted: False)
    ),
    "heirs: nothing is written down": Planted(
        Parts(), (oracle.REST,), _DEADLY, (Applier, "_write_down", _write_nothing)
    ),
    "heirs: several are taken for one": Planted(
        Parts(), (oracle.LETTERS, oracle.TRIED), _DEADLY, (applying, "trial", _alone_or_not)
    ),
    "heirs: another record pays": Planted(Parts(), (oracle.LETTERS,), _DEADLY, (portions, "_times", _of_any_record)),
    "ending: a lost connection has no name": Planted(
        Parts(), (oracle.ENDING,), _DISCONNECTED, (Loop, "_reconnecting", _gives_up)
    ),
}
