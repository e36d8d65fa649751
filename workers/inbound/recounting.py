"""Counting a workspace again after a setting changed that its cycles obey."""

from collections.abc import Iterable
from datetime import datetime

from workers.runtime.batch import Connection
from workers.store import mac, workspaces
from workers.store.long_work import take_time


async def recount(tx: Connection, workspace_ids: Iterable[str], now: datetime) -> None:
    """Judge again what counts, in every cycle since the first message. The settings must have been saved.

    A setting mostly arrives before the messages it holds for; then there is nothing to count. Else it takes as long as
    the workspace is large, and whoever goes by its settings waits.
    """
    await take_time(tx)
    for workspace_id, tenant in (await workspaces.lock(tx, workspace_ids)).items():
        span = await mac.span_of_messages(tx, workspace_id)
        if span is not None:
            cycles = tenant.calendar.between(span[0], max(span[1], now))
            await mac.recount(tx, workspace_id, list(cycles))
