"""The topic billing.alerts: a count of an open cycle reached a share of the workspace's `mac_limit`. Stops nothing.

Who publishes a changed count on billing.mac, and who changes a limit, notes which cycles this concerns. A job compares
those and no others.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from schemas.fields import utc_text
from schemas.ids import fact_id
from schemas.outputs import ENCODER, BillingAlert
from workers.records import Event
from workers.rules.alerts import thresholds_to_tell
from workers.services.job_runner import Job, Unfinished
from workers.store import alerts
from workers.store.alerts import LimitedCount, ToldThreshold
from workers.store.connection import Connection

_TOPIC: Final = "billing.alerts"
_AT_ONCE: Final = 1_000


async def tell(tx: Connection, now: datetime) -> Sequence[Event] | Unfinished:
    """Tells each threshold once for each cycle. A transaction that notes a change later is seen by a later run."""
    checks = await alerts.take_checks(tx, _AT_ONCE)
    if not checks:
        return []
    counts = await alerts.limited_counts(tx, checks)
    reached = [(c, t) for c in counts for t in thresholds_to_tell(c.active_contacts, c.limit, c.told)]
    await alerts.note_told(tx, [ToldThreshold(c.workspace_id, c.cycle_start, t) for c, t in reached], now)
    events = [_event(count, threshold, now) for count, threshold in reached]
    return Unfinished(events) if len(checks) == _AT_ONCE else events


def _event(count: LimitedCount, threshold: int, now: datetime) -> Event:
    start = utc_text(count.cycle_start)
    alert = BillingAlert(
        workspace_id=count.workspace_id,
        cycle_start=count.cycle_start,
        threshold=threshold,
        active_contacts=count.active_contacts,
        limit=count.limit,
        at=now,
    )
    return Event(
        topic=_TOPIC,
        key=count.workspace_id.encode(),
        value=ENCODER.encode(alert),
        ce_id=fact_id(_TOPIC, count.workspace_id, start, str(threshold)),
        workspace_id=count.workspace_id,
        time=now,
    )


JOBS: Final = (Job("tell alerts", 1, tell),)
