"""What `sluice status` shows, by one look or by one after the other."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from schemas.topics import INPUTS
from workers.app.database_failures import reading
from workers.app.settings import Settings
from workers.cli.reports import Report
from workers.errors import SluiceError
from workers.records import Partition
from workers.rules import lag
from workers.rules.lag import Applied
from workers.store import reports

_SHOWN: Final = 100
_BETWEEN_S: Final = 1.0
"""Between the two moments of a rate, where there is no earlier look."""
_INPUTS: Final = tuple(topic.name for topic in INPUTS)


class Look(NamedTuple):
    """What was seen at one moment. `kafka_fault`: why lag is not known."""

    applied: Applied
    standing: Sequence[Mapping[str, Any]]
    tables: Mapping[str, Sequence[Mapping[str, Any]]]
    held: Mapping[Partition, tuple[int, int]]
    oldest_ms: Mapping[Partition, int]
    kafka_fault: str | None = None


async def once(settings: Settings) -> Report:
    """A report with rates of the second in which it was made."""
    before = await _applied(settings)
    await asyncio.sleep(_BETWEEN_S)
    return report(before, await look(settings))


async def look(settings: Settings) -> Look:
    """What there is to see now."""
    async with reading(settings) as tx:
        standing, now = await reports.standing(tx), await reports.database_now(tx)
        tables = await _tables(tx)
    applied = _of(standing, now)
    try:
        held, oldest_ms = await _in_kafka(settings, applied)
    except SluiceError as error:
        return Look(applied, standing, tables, {}, {}, str(error))
    return Look(applied, standing, tables, held, oldest_ms)


async def _applied(settings: Settings) -> Applied:
    async with reading(settings) as tx:
        return _of(await reports.standing(tx), await reports.database_now(tx))


def _of(standing: Sequence[Mapping[str, Any]], now: Any) -> Applied:
    return Applied(now, {(row["topic"], row["partition"]): row["next_offset"] for row in standing})


async def _tables(tx: Any) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    backlog = await reports.backlog(tx)
    return {
        "workers": await reports.workers(tx),
        "waiting": [{"what": name.replace("_", " "), "count": count} for name, count in dict(backlog).items()],
        "jobs": await reports.jobs(tx),
        "in steps": await reports.pending_work(tx, _SHOWN),
        "counting again": await reports.counting_again(tx, _SHOWN),
        "deletions": await reports.deletions(tx, None, _SHOWN, finished=False),
        "cycles held open": await reports.closing_delays(tx),
        "counts verified": await reports.verification_round(tx),
        "dead letters": await reports.dead_letters(tx),
    }


async def _in_kafka(
    settings: Settings, applied: Applied
) -> tuple[Mapping[Partition, tuple[int, int]], Mapping[Partition, int]]:
    """What Kafka holds of each partition, and the Kafka timestamp of the oldest record that is not applied."""
    from workers.kafka.operator_queries import bounds, timestamps

    cluster = settings.kafka()
    held = await bounds(cluster, _INPUTS)
    wanted = {}
    for source, (begin, end) in held.items():
        next_offset = applied.next_offsets.get(source)
        if lag.records(begin, end, next_offset):
            wanted[source] = max(begin, next_offset or 0)
    return held, await timestamps(cluster, wanted) if wanted else {}


def report(before: Applied, now: Look) -> Report:
    """The tables of a look, with rates since an earlier moment."""
    known = {Partition(row["topic"], row["partition"]): row for row in now.standing}
    rows = [_row(source, known.get(source), before, now) for source in sorted({*known, *now.held})]
    begun = any(row["next_offset"] is not None or row["lag"] for row in rows)
    unknown = [] if now.kafka_fault is None else [{"what": "lag", "because": now.kafka_fault}]
    return Report(
        {"progress": rows if begun else [], **now.tables, "not known": unknown},
        hint="No record has been applied yet.",
        details=("consumer_group", "owner", "working", "updated_at"),
    )


def _row(source: Partition, row: Mapping[str, Any] | None, before: Applied, now: Look) -> Mapping[str, Any]:
    next_offset = row["next_offset"] if row else None
    held = now.held.get(source)
    waiting = None if held is None else lag.records(*held, next_offset)
    return {
        "consumer_group": row["consumer_group"] if row else None,
        "topic": source.topic,
        "partition": source.partition,
        "owner": row["owner"] if row else None,
        "working": row["working"] if row else False,
        "next_offset": next_offset,
        "lag": waiting,
        "lag_s": None if waiting is None else lag.seconds(waiting, now.oldest_ms.get(source), now.applied.at),
        "per_second": lag.rate(before, now.applied, source),
        "updated_at": row["updated_at"] if row else None,
    }
