"""`sluice mac verify`: counts again from the messages, and names each difference."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from workers.app.database_failures import reading_much
from workers.app.settings import Settings
from workers.billing import verifying
from workers.cli.reports import Report
from workers.errors import NotFound
from workers.rules.verifying import Difference
from workers.rules.wording import time_text
from workers.store import verifying as stored
from workers.store.connection import Connection, transaction_time

_CONTACTS_AT_ONCE: Final = 1_000_000
_MERGED_AT_ONCE: Final = 10_000
_WORKSPACES_AT_ONCE: Final = 1_000


class Verified(NamedTuple):
    """A report, and whether nothing differs."""

    report: Report
    right: bool


async def verify(settings: Settings, workspace: str | None, cycle: datetime | None, most: int) -> Verified:
    """Verifies a workspace or all, one after the other, each as of one moment. At most about `most` differences are
    named.

    Raises:
        NotFound: there is no such workspace or cycle.
    """
    verified: list[dict[str, Any]] = []
    found: list[Difference] = []
    async with reading_much(settings) as connection:
        async for name in _named(connection, workspace):
            try:
                row, more = await _verify(connection, name, cycle, most)
            except NotFound:
                if workspace is not None:
                    raise
                continue
            verified.append(row)
            found += more[: most - len(found)]
    if cycle is not None and not verified:
        raise NotFound(f"no workspace has a cycle that begins at {time_text(cycle)}")
    tables = {"verified": verified, "differences": [d._asdict() for d in found]}
    right = not any(row["differences"] for row in verified)
    return Verified(Report(tables, hint="There is no workspace yet."), right)


async def _named(connection: Connection, workspace: str | None) -> AsyncIterator[str]:
    if workspace is not None:
        yield workspace
        return
    names = await stored.workspaces_after(connection, "", _WORKSPACES_AT_ONCE)
    while names:
        for name in names:
            yield name
        names = await stored.workspaces_after(connection, names[-1], _WORKSPACES_AT_ONCE)


async def _verify(
    connection: Connection, workspace_id: str, cycle: datetime | None, most: int
) -> tuple[dict[str, Any], list[Difference]]:
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        now = await transaction_time(connection)
        scope = await verifying.scope(connection, workspace_id, cycle, now)
        found: list[Difference] = []
        for start in scope.starts:
            found += await verifying.verify_cycle(connection, scope, start, most)
        first: UUID | None = verifying.FIRST_CONTACT
        while first is not None:
            more, first = await verifying.verify_contacts(connection, scope, first, _CONTACTS_AT_ONCE, most)
            found += more
        done: int | None = 0
        while done is not None:
            more, done = await verifying.verify_families(connection, scope, done, _MERGED_AT_ONCE)
            found += more
    row = {
        "workspace_id": workspace_id,
        "as_of": now,
        "cycles": len(scope.starts),
        "differences": len(found),
        "not_final": scope.not_final,
    }
    return row, found
