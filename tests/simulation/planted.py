"""Planted bugs: pieces of the engine with one guard taken out each, and the database's side of the fence with a hole.

A simulation that does not find them would prove nothing. Some of them were the engine's own, until it found them.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Final
from unittest import mock

from tests.simulation import oracle
from tests.simulation.database import Database, Session
from tests.simulation.ports import SimLedger
from tests.simulation.schedule import Climate
from tests.simulation.slots import Parts
from workers.runtime import applying, intake
from workers.runtime.applying import MOST_LOST_CONNECTIONS, Applied, Applier
from workers.runtime.batch import RawRecord, Source, WorkerSpec
from workers.runtime.handover import HandOver
from workers.runtime.intake import Part, Position
from workers.runtime.lanes import Lane, Lanes
from workers.runtime.line import NOTHING_ACCEPTED, AcceptedBad
from workers.runtime.loop import Loop
from workers.runtime.outlet import Outlet
from workers.runtime.ports import (
    Assigned,
    Body,
    Earlier,
    Effects,
    Idle,
    Input,
    Ledger,
    Output,
    Owed,
    OwedKey,
    Probe,
    Step,
    Taken,
)
from workers.runtime.takeover import TakeOver
from workers.store.failures import ConnectionLost, Fenced


def _engine(
    applier: type[Applier] = Applier, outlet: type[Outlet] = Outlet, take_over: type[TakeOver] = TakeOver
) -> Parts:
    class Altered(Loop):
        def __init__(
            self,
            spec: WorkerSpec,
            input_: Input,
            output: Output,
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
    def stands(self, step: Step, _lease: int) -> bool:
        row = self.rows.get(step.source)
        return row is not None and row.next_offset == step.first


class _OffsetNotCompared(Database):
    def stands(self, step: Step, lease: int) -> bool:
        row = self.rows.get(step.source)
        return row is not None and row.lease == lease


class _LostIsApplied(Applier):
    """What turned out to be lost is taken for applied."""

    async def apply(
        self, parts: Sequence[Part], positions: Mapping[Source, Position], settled: Sequence[OwedKey]
    ) -> Applied:
        applied = await super().apply(parts, positions, settled)
        return applied._replace(parts=parts, lost=frozenset())


class _CommittedIsLost(Database):
    """A COMMIT whose answer was lost is taken for one that never was, and the rows for somebody else's."""

    def why(self, session: Session, lease: int, steps: Sequence[Step], won: Sequence[Step]) -> Fenced:
        fenced = super().why(session, lease, steps, won)
        return Fenced([*fenced.lost, *fenced.committed], [])


class _LostIsCommitted(SimLedger):
    """A COMMIT whose answer was lost is taken for one that has reached the server."""

    async def transact(self, steps: Sequence[Step], body: Body, settled: Sequence[OwedKey]) -> Effects:
        try:
            return await super().transact(steps, body, settled)
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
        self, parts: Sequence[Part], positions: Mapping[Source, Position], settled: Sequence[OwedKey]
    ) -> Applied:
        halted = applying._halts(parts, positions, self._accepted, [])  # noqa: SLF001 - the piece without its guard
        applied = await super().apply(parts, positions, settled)
        return applied._replace(halted={**halted, **applied.halted})


# --- the order of COMMIT and publish


class _PublishesBeforeCommit(Loop):
    def __init__(
        self,
        spec: WorkerSpec,
        input_: Input,
        output: Output,
        ledger: Ledger,
        probe: Probe,
        accepted: AcceptedBad = NOTHING_ACCEPTED,
    ) -> None:
        async def apply(tx: Any, batch: Any) -> list[Any]:
            outputs = await spec.apply(tx, batch)
            await output.publish([one.fact for one in outputs])
            return outputs

        super().__init__(WorkerSpec(spec.name, spec.decoders, apply), input_, output, ledger, probe, accepted)


class _CommitsOffsetsFirst(Outlet):
    async def _publish(self, poll: Any) -> None:
        self._offsets.update(poll.offsets)
        await self._commit()
        await super()._publish(poll)


class _PublishesNewestFirst(Outlet):
    async def _publish(self, poll: Any) -> None:
        poll.owed = [Owed(owed.key, owed.facts[::-1]) for owed in poll.owed]
        await super()._publish(poll)


async def _gives_up(loop: Any, work: Any) -> Any:
    """The connection is lost once too often, and nobody says what that means."""
    for _ in range(MOST_LOST_CONNECTIONS):
        try:
            return await work()
        except ConnectionLost:
            await loop._ledger.reconnect()  # noqa: SLF001 - the piece as it was
    return await work()


def _keep_effects(attempt: Any, halted: Mapping[Source, int]) -> None:
    """What a rolled back try came to is published, if nothing is left for the next one."""
    attempt.parts = applying._cut(attempt.parts, halted)  # noqa: SLF001 - the piece without its guard


class _OthersNotAsked(SimLedger):
    """What others owe about a shared key is not taken along."""

    async def earlier(self, _keys: Any) -> Sequence[Earlier]:
        return ()


# --- the deletion of what is owed


class _SettlesBeforeAcknowledged(Outlet):
    async def _publish(self, poll: Any) -> None:
        self._settled.extend(owed.key for owed in poll.owed)
        await super()._publish(poll)


class _SettlesOnLeaving(Outlet):
    """What could not be published in time is settled with the rest."""

    def forget(self) -> None:
        self._settled.extend(owed.key for poll in self._polls for owed in poll.owed)
        super().forget()


class _SettlesWithoutLease(Database):
    def settled(self, _lease: int, keys: Sequence[OwedKey]) -> list[Owed]:
        return [self.owed[key] for key in keys if key in self.owed]


# --- the take-over


class _LeavesOwed(TakeOver):
    async def _publish_owed(self, source: Source) -> None:
        """Somebody will."""


class _SettlesFirst(TakeOver):
    async def _publish_owed(self, source: Source) -> None:
        for owed in await self._ledger.owed(source):
            await self._ledger.settle([owed.key])
            await self._output.publish(owed.facts)


class _NewestOwedFirst(TakeOver):
    async def _publish_owed(self, source: Source) -> None:
        for owed in reversed(await self._ledger.owed(source)):
            await self._output.publish(owed.facts)
            await self._ledger.settle([owed.key])


class _BelievesKafka(TakeOver):
    """It reads on from where the group stands, as other consumers do."""

    def _stand(self, lease: Taken, bounds: Mapping[Source, tuple[int, int]]) -> Position:
        if lease.next_offset is None:
            return super()._stand(lease, bounds)
        return Position(lease.next_offset, None, lease.bad)


class _ForgetsBad(TakeOver):
    async def __call__(self, assigned: Assigned) -> dict[Source, Position]:
        taken = await super().__call__(assigned)
        return {source: Position(at.next_offset, at.unverified) for source, at in taken.items()}


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


_LANES: Final[Climate] = {"lanes": 3, "partitions": 3}


def _shares_in_turn(lanes: Lanes, slices: Mapping[Source, Sequence[RawRecord]]) -> dict[Lane, Any]:
    return {lanes.all[sum(len(records) for records in slices.values()) % len(lanes.all)]: slices}


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
    "fence: lost is taken for committed": Planted(Parts(ledger=_LostIsCommitted), (oracle.OFFSETS, oracle.DURABLE)),
    "fence: a lost partition stops the line": Planted(_engine(applier=_LostStopsTheLine), (oracle.LINE,), _BAD),
    "fence: what was applied is read again": Planted(
        Parts(), (oracle.ONCE,), patch=(intake, "_continued", lambda part, _position: part)
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
        (applying._Attempt, "cut", _keep_effects),  # noqa: SLF001
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
    "ending: a lost connection has no name": Planted(
        Parts(), (oracle.ENDING,), _DISCONNECTED, (Loop, "_reconnecting", _gives_up)
    ),
}
