"""What `sluice progress` does: where partitions stand, and letting them go on elsewhere.

Kafka's committed offsets play no part: setting them back has no effect.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from schemas.topics import INPUTS
from workers.errors import SettingsError
from workers.explaining import connected
from workers.reporting import Report, reading
from workers.runtime.asking import Bounds, bounds, offsets_at
from workers.runtime.batch import Source
from workers.settings import Settings
from workers.store import attempts, dead_letters, progress
from workers.store.failures import Fenced
from workers.store.progress import Move, Standing

BEGINNING: Final = "beginning"
END: Final = "end"
Target = int | datetime | str
"""An offset, a moment of Kafka's clock, `BEGINNING` or `END`."""

_INPUT_NAMES: Final = tuple(spec.name for spec in INPUTS)


class Planned(NamedTuple):
    """A partition that shall go on at `to`. `worked_by`: who is at work on it, if anybody; `made_anew`: the topic ends
    before the partition stands, so that it cannot be the one that was applied.
    """

    source: Source
    known: int | None
    to: int
    worked_by: str | None
    made_anew: bool


async def shown(settings: Settings) -> Report:
    """Every input partition: what is applied, and what Kafka holds."""
    kept = await bounds(settings.kafka(), _INPUT_NAMES)
    async with reading(settings) as tx:
        standing = {row.source: row for row in await progress.listed(tx)}
    rows = [_row(source, standing.get(source), kept.get(source)) for source in sorted({*kept, *standing})]
    return Report({"progress": rows}, hint="There are no input topics yet: run `sluice topics`.")


def _row(source: Source, row: Standing | None, kept: Bounds | None) -> dict[str, object]:
    next_offset = row.next_offset if row else None
    applied = next_offset if next_offset is not None else kept.begin if kept else None
    return {
        "topic": source.topic,
        "partition": source.partition,
        "next_offset": next_offset,
        "held_from": kept.begin if kept else None,
        "held_until": kept.end if kept else None,
        "to_apply": max(0, kept.end - applied) if kept and applied is not None else None,
        "position": _position(next_offset, kept),
        "owner": row.owner if row else None,
        "at_work": row.working if row else False,
    }


def _position(next_offset: int | None, kept: Bounds | None) -> str:
    if kept is None:
        return "no such partition"
    if next_offset is None:
        return "not begun"
    return "held" if kept.begin <= next_offset <= kept.end else "lost"


async def rewound(settings: Settings, topic: str, partition: int | None, target: Target) -> list[Planned]:
    """Where the partitions would go back to.

    Raises:
        SettingsError: the topic does not hold that offset, or a partition does not stand later.
    """
    return await _planned(settings, topic, partition, target, _Way("rewind", "later", lambda now, to: to < now))


async def skipped(settings: Settings, topic: str, partition: int | None, target: Target) -> list[Planned]:
    """Where the partitions would go on to.

    Raises:
        SettingsError: the topic does not hold that offset, or a partition does not stand earlier.
    """
    return await _planned(settings, topic, partition, target, _Way("skip", "earlier", lambda now, to: to > now))


class _Way(NamedTuple):
    name: str
    before: str
    leads: Callable[[int, int], bool]


async def _planned(settings: Settings, topic: str, partition: int | None, target: Target, way: _Way) -> list[Planned]:
    if topic not in _INPUT_NAMES:
        raise SettingsError(f"--topic: {topic} is no input topic; expected any of {', '.join(_INPUT_NAMES)}")
    kept = await bounds(settings.kafka(), [topic])
    async with reading(settings) as tx:
        rows = [row for row in await progress.listed(tx) if row.source.topic == topic]
    rows = [row for row in rows if partition in (None, row.source.partition)]
    if not rows:
        raise SettingsError(f"no worker has had {topic}{'' if partition is None else f'[{partition}]'} yet")
    targets = await _targets(settings, target, {row.source: _kept(row.source, kept) for row in rows})
    plans = [_plan(row, kept[row.source], targets[row.source]) for row in rows]
    led = [plan for plan in plans if _leads(plan, kept[plan.source], way)]
    if not led:
        raise SettingsError(f"nothing to {way.name}: no partition that was asked for stands {way.before}")
    return led


def _kept(source: Source, kept: Mapping[Source, Bounds]) -> Bounds:
    if source not in kept:
        raise SettingsError(f"Kafka has no {source.topic}[{source.partition}]")
    return kept[source]


async def _targets(settings: Settings, target: Target, kept: Mapping[Source, Bounds]) -> dict[Source, int]:
    if isinstance(target, datetime):
        found = await offsets_at(settings.kafka(), list(kept), target)
        later = {source: found.get(source) for source in kept}
        return {s: held.end if (at := later[s]) is None else max(at, held.begin) for s, held in kept.items()}
    if isinstance(target, str):
        return {source: held.begin if target == BEGINNING else held.end for source, held in kept.items()}
    for source, held in kept.items():
        if not held.begin <= target <= held.end:
            raise SettingsError(
                f"{source.topic}[{source.partition}] holds {held.begin} to {held.end}: it cannot go on at {target}"
            )
    return dict.fromkeys(kept, target)


def _plan(row: Standing, kept: Bounds, to: int) -> Planned:
    made_anew = row.next_offset is not None and row.next_offset > kept.end
    return Planned(row.source, row.next_offset, to, row.owner if row.working else None, made_anew)


def _leads(plan: Planned, kept: Bounds, way: _Way) -> bool:
    return way.leads(kept.begin if plan.known is None else plan.known, plan.to)


async def moved(settings: Settings, plans: Sequence[Planned]) -> None:
    """Does it, all or nothing. Workers at work on the partitions are fenced.

    Raises:
        SettingsError: a partition has moved on since the plan was made.
        SetupError, Unreachable: a server is gone or refuses.
    """
    anew = [plan.source for plan in plans if plan.made_anew]
    async with connected(settings, "progress") as connection:
        try:
            async with connection.transaction():
                await progress.place(connection, [Move(plan.source, plan.known, plan.to) for plan in plans])
                if anew:
                    await dead_letters.detach(connection, anew)
                    await attempts.detach_parked(connection)
        except Fenced as fenced:
            moved_on = ", ".join(f"{s.topic}[{s.partition}]" for s in sorted(fenced.lost))
            raise SettingsError(f"{moved_on} moved on meanwhile: stop its workers, then decide again") from fenced


def told(plan: Planned) -> str:
    """What will happen, in a line."""
    where = f"{plan.source.topic}[{plan.source.partition}]"
    known = plan.known or 0
    if plan.made_anew:
        effect = "the topic was made anew; what it holds from there on is applied"
    elif plan.to > known:
        effect = f"{plan.to - known} offsets are never applied"
    else:
        effect = f"{known - plan.to} offsets are applied again"
    busy = f"; {plan.worked_by} is at work on it and ends at its next record, exit code 4" if plan.worked_by else ""
    return f"{where}: {plan.known} -> {plan.to}: {effect}{busy}"
