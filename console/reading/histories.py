"""What happened: runs, dropped messages, deletions, commands."""

from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from console.reading.paging import BY_TIME, Keyset, Rows, page
from workers.process.queries import statements

_SQL: Final = statements("console", "histories")
_RUNS: Final = Keyset(("started_at", "run_id"), (datetime, str))
_DROPS: Final = Keyset(("event_time", "message_id"), BY_TIME)
_DELETIONS: Final = Keyset(("requested_at", "deletion_id"), (datetime, UUID))
_AUDIT: Final = Keyset(("at", "command_id"), (datetime, UUID))


class AuditFilter(NamedTuple):
    """Whose commands, of which name, with which outcome, about what (a part of the target's text). None leaves a
    condition out.
    """

    actor: str | None = None
    command: str | None = None
    outcome: str | None = None
    target: str | None = None


async def runs(connection: Any, workspace_id: str, limit: int, cursor: str | None) -> Rows:
    """Runs, those that started last on top: the columns of `workflow_runs`, and `started_at`. Raises as `page`."""
    return await page(connection, _SQL["runs"], (workspace_id,), _RUNS, limit, cursor)


async def drops(connection: Any, workspace_id: str, limit: int, cursor: str | None) -> Rows:
    """Dropped messages, the latest on top: the columns of `drop_ledger`. Raises as `page`."""
    return await page(connection, _SQL["drops"], (workspace_id,), _DROPS, limit, cursor)


async def drops_of_contact(
    connection: Any, workspace_id: str, contact_id: UUID, limit: int, cursor: str | None
) -> Rows:
    """Dropped messages of a contact, the latest on top: the columns of `drop_ledger`. Raises as `page`."""
    return await page(connection, _SQL["drops_of_contact"], (workspace_id, contact_id), _DROPS, limit, cursor)


async def deletions(connection: Any, workspace_id: str, limit: int, cursor: str | None) -> Rows:
    """Deletions of contacts, those that were asked for last on top: the columns of `deletions`. Raises as `page`."""
    return await page(connection, _SQL["deletions"], (workspace_id,), _DELETIONS, limit, cursor)


async def audit(connection: Any, workspace_id: str, wanted: AuditFilter, limit: int, cursor: str | None) -> Rows:
    """Commands, those that were applied last on top: the columns of `audit_list`. Raises as `page`."""
    return await page(connection, _SQL["audit"], (workspace_id, *wanted), _AUDIT, limit, cursor)
