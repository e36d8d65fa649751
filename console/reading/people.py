"""What the pages of contacts and profiles ask beside the lists that the API has as well."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from workers.process.postgres import Postgres
from workers.process.queries import statements
from workers.rules.custom_fields import FieldDefinition
from workers.rules.last_write_wins import LastWrite

_SQL: Final = statements("console", "people")
_IMPACT: Final = statements("console", "foreseeing")["impact"]
_EXPORTED_AT_ONCE: Final = 1_000
MOST: Final = 200
"""Of a list inside of a page."""
MOST_FORESEEN: Final = 10_000
Row = Mapping[str, Any]


async def fields(connection: Any, workspace_id: str, scope: str) -> Mapping[str, FieldDefinition]:
    """The custom fields of contacts or profiles, by name."""
    rows = await connection.fetch(_SQL["fields"], workspace_id, scope)
    return {row["name"]: FieldDefinition(row["type"], LastWrite(tuple(row["options"]))) for row in rows}


async def tags(connection: Any, workspace_id: str) -> Sequence[str]:
    """Tags, at most `MOST`."""
    return [row["tag"] for row in await connection.fetch(_SQL["tags"], workspace_id, MOST)]


async def merges_of(connection: Any, workspace_id: str, contact_id: UUID) -> Sequence[Row]:
    """The merges of a contact, the newest on top, at most `MOST`."""
    return await _rows(connection, "merges_of", workspace_id, contact_id, MOST)


async def contacts_of(connection: Any, workspace_id: str, profile_id: str) -> Sequence[Row]:
    """The contacts of a profile by name, at most one more than `MOST`."""
    return await _rows(connection, "contacts_of_profile", workspace_id, profile_id, MOST + 1)


async def count_contacts(connection: Any, workspace_id: str) -> int:
    """How many contacts there are, blocked ones too, as the inbox counts them: after changes a second behind, and after
    a large deletion until all of it is cut off. Costs the same whatever their number.
    """
    number: int = await connection.fetchval(_SQL["count_contacts"], workspace_id)
    return number


async def impact(connection: Any, workspace_id: str, command: str, **fields: Any) -> Row:
    """What a command would touch: see `impact` in the contract, section 10. No figure is above 10,001, which stands for
    more than `MOST_FORESEEN`.
    """
    row = await connection.fetchrow(_IMPACT, workspace_id, {"command": command} | fields)
    return dict(row)


async def exported(postgres: Postgres, workspace_id: str, tag: str | None) -> AsyncIterator[Sequence[Row]]:
    """Contacts that are not blocked, by id; with a tag only those that have it. Each turn is a statement of its own."""
    after = UUID(int=0)
    while rows := await postgres.fetch(_SQL["export_page"], workspace_id, tag, after, _EXPORTED_AT_ONCE):
        yield rows
        after = rows[-1]["contact_id"]


async def _rows(connection: Any, statement: str, *arguments: object) -> Sequence[Row]:
    return [dict(row) for row in await connection.fetch(_SQL[statement], *arguments)]
