"""Who gave which command, and what became of it."""

from typing import Any, Final, NamedTuple

from console.reading.paging import BY_TIME, Keyset, Rows, page
from workers.process.queries import statements

_SQL: Final = statements("console", "auditing")
_BY_TIME: Final = Keyset(("at", "command_id"), BY_TIME)


class Audited(NamedTuple):
    """Whose commands, of which name, with which outcome, about what (a part of the target's text). None leaves a
    condition out.
    """

    actor: str | None = None
    command: str | None = None
    outcome: str | None = None
    target: str | None = None


async def commands(connection: Any, workspace_id: str, wanted: Audited, limit: int, cursor: str | None) -> Rows:
    """Commands, those that were applied last on top: the columns of `audit_log`. Raises as `page`."""
    return await page(connection, _SQL["commands"], (workspace_id, *wanted), _BY_TIME, limit, cursor)
