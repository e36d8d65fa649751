"""Queries and actions of `sluice progress`: where partitions stand, and moving them.

Kafka's committed offsets play no part: resetting them has no effect.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from schemas.topics import INPUTS
from workers.app.database_failures import connected, reading
from workers.app.settings import Settings
from workers.cli.reports import Report
from workers.errors import NotFound, NotPossible, SettingsError
from workers.kafka.operator_queries import Bounds, bounds, offsets_at
from workers.records import Partition
from workers.store import dead_letters, progress, send_attempts
from workers.store.failures import Fenced
from workers.store.progress import Move, PartitionProgress

TOPIC_BEGINNING: Final = "beginning"
END: Final = "end"
MoveTarget = int | datetime | str
"""An offset, a time by Kafka's clock, `BEGINNING` or `END`."""

_INPUT_NAMES: Final = tuple(spec.name for spec in INPUTS)


class Planned(NamedTuple):
    """A partition that is to continue at `to`. `worked_by`: the worker that owns it, if any; `made_anew`: the topic
    ends before the present offset, so it is not the topic that was applied.
    """

    source: Partition
    known: int | None
    to: int
    worked_by: str | None
    made_anew: bool


async def shown(settings: Settings) -> Report:
    """Every input partition: what is applied, and what Kafka holds."""
    # Workers and retention continue meanwhile. So only a row that was read before may be beyond the end, and only one
    # that is read afterwards may be before the beginning.
    before = await _standing(settings)
    kept = await bounds(settings.kafka(), _INPUT_NAMES)
    after = await _standing(settings)
    sources = sorted({*kept, *after})
    rows = [_row(source, before.get(source), after.get(source), kept.get(source)) for source in sources]
    hint = "There are no input topics yet: run `sluice topics`."
    return Report({"progress": rows}, hint=hint, details=("held_from", "owner"))


async def _standing(settings: Settings) -> dict[Partition, PartitionProgress]:
    async with reading(settings) as tx:
        return {row.source: row for row in await progress.listed(tx)}


def _row(
    source: Partition, before: PartitionProgress | None, row: PartitionProgress | None, kept: Bounds | None
) -> dict[str, object]:
    next_offset = row.next_offset if row else None
    applied = next_offset if next_offset is not None else kept.begin if kept else None
    return {
        "topic": source.topic,
        "partition": source.partition,
        "next_offset": next_offset,
        "held_from": kept.begin if kept else None,
        "held_until": kept.end if kept else None,
        "to_apply": max(0, kept.end - applied) if kept and applied is not None else None,
        "position": _position(before.next_offset if before else None, next_offset, kept),
        "owner": row.owner if row else None,
        "at_work": row.working if row else False,
    }


def _position(before: int | None, after: int | None, kept: Bounds | None) -> str:
    if kept is None:
        return "no such partition"
    if after is None:
        return "not begun"
    lost = after < kept.begin or (before is not None and before > kept.end)
    return "lost" if lost else "held"


async def rewound(settings: Settings, topic: str, partition: int | None, target: MoveTarget) -> list[Planned]:
    """Where the partitions would go back to.

    Raises:
        NotFound: there is no such partition.
        Refused: the topic does not hold that offset, or no partition is beyond it.
    """
    return await _planned(settings, topic, partition, target, _Way("rewind", "later", lambda now, to: to < now))


async def skipped(settings: Settings, topic: str, partition: int | None, target: MoveTarget) -> list[Planned]:
    """Where the partitions would skip to.

    Raises:
        NotFound: there is no such partition.
        Refused: the topic does not hold that offset, or no partition is before it.
    """
    return await _planned(settings, topic, partition, target, _Way("skip", "earlier", lambda now, to: to > now))


class _Way(NamedTuple):
    name: str
    before: str
    leads: Callable[[int, int], bool]


async def _planned(
    settings: Settings, topic: str, partition: int | None, target: MoveTarget, way: _Way
) -> list[Planned]:
    if topic not in _INPUT_NAMES:
        raise SettingsError(f"--topic: {topic} is no input topic; expected any of {', '.join(_INPUT_NAMES)}")
    # Keep this order: records that workers apply meanwhile are not beyond an end that was read before.
    standing = await _standing(settings)
    kept = await bounds(settings.kafka(), [topic])
    if partition is not None and kept and Partition(topic, partition) not in kept:
        last = max(source.partition for source in kept)
        raise NotFound(f"--partition: there is no {topic}[{partition}]: the topic has partitions 0 to {last}")
    rows = [row for row in standing.values() if row.source.topic == topic and partition in (None, row.source.partition)]
    if not rows:
        raise NotPossible(f"no worker has had {topic}{'' if partition is None else f'[{partition}]'} yet")
    targets = await _targets(settings, target, {row.source: _kept(row.source, kept) for row in rows})
    plans = [_plan(row, kept[row.source], targets[row.source]) for row in rows]
    led = [plan for plan in plans if _leads(plan, kept[plan.source], way)]
    if not led:
        raise NotPossible(f"nothing to {way.name}: no partition that was asked for stands {way.before}")
    return led


def _kept(source: Partition, kept: Mapping[Partition, Bounds]) -> Bounds:
    if source not in kept:
        raise NotFound(f"Kafka has no {source.topic}[{source.partition}]")
    return kept[source]


async def _targets(settings: Settings, target: MoveTarget, kept: Mapping[Partition, Bounds]) -> dict[Partition, int]:
    if isinstance(target, datetime):
        found = await offsets_at(settings.kafka(), list(kept), target)
        later = {source: found.get(source) for source in kept}
        return {s: held.end if (at := later[s]) is None else max(at, held.begin) for s, held in kept.items()}
    if isinstance(target, str):
        return {source: held.begin if target == TOPIC_BEGINNING else held.end for source, held in kept.items()}
    for source, held in kept.items():
        if not held.begin <= target <= held.end:
            raise NotPossible(
                f"{source.topic}[{source.partition}] holds {held.begin} to {held.end}: it cannot continue at {target}"
            )
    return dict.fromkeys(kept, target)


def _plan(row: PartitionProgress, kept: Bounds, to: int) -> Planned:
    made_anew = row.next_offset is not None and row.next_offset > kept.end
    return Planned(row.source, row.next_offset, to, row.owner if row.working else None, made_anew)


def _leads(plan: Planned, kept: Bounds, way: _Way) -> bool:
    return way.leads(kept.begin if plan.known is None else plan.known, plan.to)


async def moved(settings: Settings, plans: Sequence[Planned]) -> None:
    """Moves the partitions, all or none. Fences workers that own them.

    Raises:
        Refused: a partition has advanced since the plan was made.
        SetupError, Unreachable: a server does not answer or refuses.
    """
    anew = [plan.source for plan in plans if plan.made_anew]
    async with connected(settings, "progress") as connection:
        try:
            async with connection.transaction():
                moves = [Move(plan.source, plan.known, plan.to) for plan in plans]
                await progress.move(connection, moves, settings.group_prefix)
                if anew:
                    await dead_letters.detach(connection, anew)
                    await send_attempts.detach_parked(connection)
        except Fenced as fenced:
            moved_on = ", ".join(f"{s.topic}[{s.partition}]" for s in sorted(fenced.lost))
            raise NotPossible(f"{moved_on} advanced meanwhile: stop its workers, then decide again") from fenced


def move_described(plan: Planned) -> str:
    """What will happen, in a line."""
    where = f"{plan.source.topic}[{plan.source.partition}]"
    known = plan.known or 0
    if plan.made_anew:
        effect = "the topic was created again; its records from there on are applied"
    elif plan.to > known:
        effect = f"{plan.to - known} offsets are never applied"
    else:
        effect = f"{known - plan.to} offsets are applied again"
    busy = f"; {plan.worked_by} owns it and ends at its next record, exit code 4" if plan.worked_by else ""
    return f"{where}: {plan.known} -> {plan.to}: {effect}{busy}"
