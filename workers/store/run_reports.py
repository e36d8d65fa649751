"""Queries for operators about workflow runs: read-only, from the public views and functions."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from workers.store.connection import Connection
from workers.store.queries import load

_SQL: Final = load("run_reports")

Row = Mapping[str, Any]

MOST_OF_A_PAGE: Final = 1_000
"""Rows that a page function returns at most."""

MOST_LOOKED_AT: Final = 100_000
"""Runs that a search for a state looks at: no index has the states."""


class ListedRuns(NamedTuple):
    """Runs, those that started last on top. `all_of_them`: no older one was left out unseen."""

    rows: list[Row]
    all_of_them: bool


async def runs(
    tx: Connection, workspace_id: str, state: str | None, before: tuple[datetime | None, str | None], limit: int
) -> ListedRuns:
    """Runs of a workspace with this state that started before a time, or then with a smaller id, at most `limit`. Read
    page by page, the newest 100,000 at most.
    """
    found: list[Row] = []
    looked_at, last = 0, before
    while len(found) < limit:
        if looked_at >= MOST_LOOKED_AT:
            return ListedRuns(found, all_of_them=False)
        most = MOST_OF_A_PAGE if state is not None else min(MOST_OF_A_PAGE, limit - len(found))
        page = await tx.fetch(_SQL["page"], workspace_id, *last, most)
        found += [row for row in page if state is None or row["state"] == state]
        if len(page) < most:
            break
        looked_at, last = looked_at + len(page), (page[-1]["started_at"], page[-1]["run_id"])
    return ListedRuns(found[:limit], all_of_them=True)


async def runs_of_contact(
    tx: Connection, workspace_id: str, contact_id: UUID, state: str | None, limit: int
) -> list[Row]:
    """Runs of a contact, also of those that were merged into it; at most 1,000."""
    return list(await tx.fetch(_SQL["of_contact"], workspace_id, contact_id, state, limit))


async def run(tx: Connection, workspace_id: str, run_id: str) -> Row | None:
    """A run with all that there is to tell; `children` and `held_steps` are JSON."""
    row: Row | None = await tx.fetchrow(_SQL["run"], workspace_id, run_id)
    return row
