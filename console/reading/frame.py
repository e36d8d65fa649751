"""What stands around every page."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from console.person import Person
from workers.process.queries import statements

_SQL: Final = statements("console", "frame")
MOST_COUNTED: Final = 99


class Waiting(NamedTuple):
    """What waits for somebody; at most one more than `MOST_COUNTED`."""

    holds: int
    letters: int


async def workspaces(connection: Any, person: Person) -> Sequence[str]:
    """The workspaces that the person sees, by name."""
    rows = await connection.fetch(_SQL["workspaces"], person.is_operator, list(person.workspaces))
    return [row["workspace_id"] for row in rows]


async def waiting(connection: Any, person: Person, workspace_id: str) -> Waiting:
    """What waits in a workspace, and for operators everywhere."""
    row = await connection.fetchrow(_SQL["waiting"], workspace_id, person.is_operator)
    return Waiting(row["holds"], row["letters"])
