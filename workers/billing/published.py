"""billing.mac: the count of each cycle as it is now."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from schemas.ids import fact_id
from schemas.outputs import ENCODER, MacCount
from workers.runtime.batch import Connection, Fact
from workers.runtime.dirty import Current, DirtyTopic
from workers.runtime.tails import Tail
from workers.store import clock, mac

_TOPIC: Final = "billing.mac"


async def load(tx: Connection, limit: int) -> list[Current]:
    """Cycles whose count changed. Several marks of one cycle are one fact; a cycle that is no more is a tombstone."""
    marks: dict[tuple[str, datetime], list[mac.CycleMark]] = {}
    for mark in await mac.dirty(tx, limit):
        marks.setdefault((mark.workspace_id, mark.cycle_start), []).append(mark)
    counts = await mac.counts(tx, marks)
    current: list[Current] = []
    now = await clock.now(tx)
    for (workspace_id, start), of_cycle in marks.items():
        row = counts.get((workspace_id, start))
        key = f"{workspace_id}:{start.isoformat().replace('+00:00', 'Z')}"
        fact = Fact(
            topic=_TOPIC,
            key=key.encode(),
            value=None if row is None else ENCODER.encode(MacCount(**row)),
            ce_id=fact_id(_TOPIC, key, "gone" if row is None else str(row["revision"])),
            workspace_id=workspace_id,
            time=now,
        )
        current.append(Current(fact, of_cycle))
    return current


async def clear(tx: Connection, published: Sequence[Current]) -> None:
    await mac.clear_dirty(tx, [mark for current in published for mark in current.mark])  # type: ignore[attr-defined]


def read(key: bytes) -> tuple[str, datetime] | None:
    """The cycle that a record's key names."""
    try:
        workspace_id, _, start = key.decode().partition(":")
        moment = datetime.fromisoformat(start)
    except ValueError:
        return None
    return (workspace_id, moment) if moment.tzinfo is not None else None


COUNTS: Final = DirtyTopic(_TOPIC, load, clear)
COUNTS_TAIL: Final = Tail(_TOPIC, read, mac.revisions, mac.mark_for_repair)
