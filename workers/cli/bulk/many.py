"""One command for each contact of a selection. Each has an id made from the run's and the contact's."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid5

from workers.app.database_failures import watching
from workers.app.settings import Settings
from workers.cli.bulk.selections import Selection
from workers.cli.bulk.stream import AnswerTally, give_all
from workers.cli.giving import Asked, Desk, Giver, asked, desk
from workers.cli.progress_line import Progress
from workers.errors import NotPossible
from workers.store.connection import Connection

ONE_FOR_MANY: Final = "delete_contacts"
"""The command that takes many contacts itself: it gets up to `_PER_COMMAND` of a selection."""
_PER_COMMAND: Final = 5_000


@dataclass(frozen=True, slots=True)
class BulkCommand:
    """What is given to each contact of the selection. `id` makes a repeat go on where it ended."""

    id: UUID
    command: str
    fields: Mapping[str, Any]
    selection: Selection


async def counted(settings: Settings, giver: Giver, selection: Selection) -> int:
    """How many contacts are selected."""
    async with watching(settings) as connection:
        return sum([len(page) async for page in selection.pages(connection, giver.workspace_id)])


async def give_each(settings: Settings, giver: Giver, run: BulkCommand) -> AnswerTally:
    """Gives the command to all of them.

    Raises:
        Unfit: a field does not fit; nothing was given.
        NotPossible: there are not as many contacts as expected; nothing was given.
        SettingsError, SetupError, Unreachable: see `Selection.pages`, `desk` and `Desk.answers`.
    """
    async with desk(settings, giver) as at_hand:
        issued_at = await at_hand.now()
        if run.command == ONE_FOR_MANY:
            commands = _in_groups(giver, run, issued_at, await _all_of(at_hand.connection, giver, run))
        else:
            _of(giver, run, issued_at, UUID(int=0))
            commands = _one_each(at_hand, run, issued_at)
        return await give_all(at_hand, commands, Progress("commands answered"))


async def _one_each(at_hand: Desk, run: BulkCommand, issued_at: datetime) -> AsyncIterator[Asked]:
    async for page in run.selection.pages(at_hand.connection, at_hand.giver.workspace_id):
        for contact_id in page:
            yield _of(at_hand.giver, run, issued_at, contact_id)


def _of(giver: Giver, run: BulkCommand, issued_at: datetime, contact_id: UUID) -> Asked:
    fields = {**run.fields, "contact_id": contact_id}
    return asked(giver, run.command, uuid5(run.id, str(contact_id)), issued_at, fields, contact_id)


async def _all_of(connection: Connection, giver: Giver, run: BulkCommand) -> list[UUID]:
    pages = run.selection.pages(connection, giver.workspace_id)
    chosen = list(dict.fromkeys([contact_id async for page in pages for contact_id in page]))
    if len(chosen) != run.fields["expected_count"]:
        expected = run.fields["expected_count"]
        raise NotPossible(f"the selection has {len(chosen):,} contacts, not {expected:,} as expected: nothing is done")
    return sorted(chosen)


async def _in_groups(giver: Giver, run: BulkCommand, issued_at: datetime, chosen: list[UUID]) -> AsyncIterator[Asked]:
    for start in range(0, len(chosen), _PER_COMMAND):
        group = chosen[start : start + _PER_COMMAND]
        fields = {**run.fields, "contact_ids": group, "expected_count": len(group)}
        yield asked(giver, run.command, uuid5(run.id, str(group[0])), issued_at, fields, f"{len(group)} contacts")
