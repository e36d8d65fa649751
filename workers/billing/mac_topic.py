"""The compacted topic billing.mac: the present count of each cycle."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from schemas.fields import utc_text
from schemas.ids import fact_id
from schemas.outputs import ENCODER, MacCount
from workers.records import Event
from workers.services.compaction_repair import RepairedTopic
from workers.services.publisher import CompactedTopic, Current
from workers.store import alerts, mac_counts
from workers.store.connection import Connection, transaction_time

_TOPIC: Final = "billing.mac"


async def load(tx: Connection, limit: int) -> list[Current]:
    """Cycles with unpublished changes. Several marks of one cycle are one event; a deleted cycle is a tombstone."""
    marks: dict[tuple[str, datetime], list[mac_counts.CycleMark]] = {}
    for mark in await mac_counts.unpublished(tx, limit):
        marks.setdefault((mark.workspace_id, mark.cycle_start), []).append(mark)
    counts = await mac_counts.counts(tx, marks)
    current: list[Current] = []
    now = await transaction_time(tx)
    for (workspace_id, start), of_cycle in marks.items():
        row = counts.get((workspace_id, start))
        key = f"{workspace_id}:{utc_text(start)}"
        event = Event(
            topic=_TOPIC,
            key=key.encode(),
            value=None if row is None else ENCODER.encode(MacCount(**row)),
            ce_id=fact_id(_TOPIC, key, "gone" if row is None else str(row["revision"])),
            workspace_id=workspace_id,
            time=now,
        )
        current.append(Current(event, of_cycle))
    return current


async def clear(tx: Connection, published: Sequence[Current]) -> None:
    marks = [mark for current in published for mark in current.mark]  # type: ignore[attr-defined]
    await alerts.counts_changed(tx, {(mark.workspace_id, mark.cycle_start) for mark in marks})
    await mac_counts.clear_unpublished(tx, marks)


def read(key: bytes) -> tuple[str, datetime] | None:
    """The cycle of a record's key."""
    try:
        workspace_id, _, start = key.decode().partition(":")
        moment = datetime.fromisoformat(start)
    except ValueError:
        return None
    return (workspace_id, moment) if moment.tzinfo is not None else None


COUNTS: Final = CompactedTopic(_TOPIC, load, clear)
COUNTS_REPAIR: Final = RepairedTopic(_TOPIC, read, mac_counts.revisions, mac_counts.mark_for_repair)
