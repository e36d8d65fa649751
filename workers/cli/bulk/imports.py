"""`sluice import`: checks a whole file, then gives its rows as commands."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from workers.app.database_failures import watching
from workers.app.settings import Settings
from workers.cli.bulk.checks import Checker, definitions_of
from workers.cli.bulk.rows import Sheet, Wrong, rows
from workers.cli.bulk.stream import AnswerTally, give_all
from workers.cli.giving import Asked, CommandAnswer, Giver, desk
from workers.cli.progress_line import Progress
from workers.errors import NotFound
from workers.store import contact_lists, reports
from workers.store.connection import transaction_time

_SHOWN: Final = 100
_SCOPES: Final = {"contacts": "contact", "profiles": "profile"}


@dataclass(frozen=True, slots=True)
class Source:
    """A file and how it is read."""

    path: Path
    delimiter: str
    sheet: Sheet


@dataclass(slots=True)
class CheckedRows:
    """What the check of a file found. `wrong_rows` has the first of the rows that are wrong."""

    rows: int = 0
    wrong: int = 0
    wrong_rows: list[dict[str, Any]] = field(default_factory=list)

    def add(self, line: int, found: Wrong) -> None:
        self.wrong += 1
        if len(self.wrong_rows) < _SHOWN:
            self.wrong_rows.append({"line": line, "column": found.column, "wrong": found.what})


@dataclass(slots=True)
class ImportOutcome:
    """What became of the rows. Of contacts: how many are new, and how many were known already."""

    tally: AnswerTally
    created: int = 0
    known: int = 0

    def hear(self, answer: CommandAnswer) -> None:
        if answer.outcome == "done" and answer.asked.command in ("create_contact", "create_profile"):
            new = answer.changed.get("created", True)
            self.created += bool(new)
            self.known += not new


async def checker(settings: Settings, giver: Giver, sheet: Sheet) -> Checker:
    """A checker with what the workspace has defined.

    Raises:
        NotFound: there is no such workspace.
        SetupError, Unreachable: see `explained`.
    """
    scope = _SCOPES[sheet.kind]
    async with watching(settings) as connection:
        fields = await contact_lists.fields(connection, giver.workspace_id, scope)
        tenant = await contact_lists.tenant(connection, giver.workspace_id)
        issued_at = await transaction_time(connection)
        if not fields and not await reports.has_workspace(connection, giver.workspace_id):
            raise NotFound(f"there is no workspace {giver.workspace_id!r}")
    known, types = definitions_of(giver.workspace_id, scope, fields)
    return Checker(giver, replace(sheet, types=types), tenant, known, issued_at)


def check(source: Source, at_hand: Checker) -> CheckedRows:
    """Reads the whole file and says what is wrong with its rows. Holds one row at a time.

    Raises:
        SettingsError: see `rows`.
    """
    found, progress = CheckedRows(), Progress("rows checked")
    with rows(source.path, source.sheet.kind, source.delimiter, with_channel=source.sheet.channel is not None) as each:
        for row in each:
            found.rows += 1
            try:
                at_hand.commands(row)
            except Wrong as wrong:
                found.add(row.line, wrong)
            progress.show(found.rows)
    progress.show(found.rows, end=True)
    return found


async def give(settings: Settings, source: Source, at_hand: Checker, expected: int) -> ImportOutcome:
    """Gives the commands of all rows that are right; `expected`: how many rows there are.

    Raises:
        SettingsError, SetupError, Unreachable, NotPossible: see `rows`, `desk` and `Desk.answers`.
    """
    outcome = ImportOutcome(AnswerTally())
    async with desk(settings, at_hand.giver) as open_desk:
        hear: Callable[[CommandAnswer], None] = outcome.hear
        progress = Progress("commands answered", expected if not source.sheet.update else None)
        outcome.tally = await give_all(open_desk, _commands(source, at_hand), progress, hear)
    return outcome


async def _commands(source: Source, at_hand: Checker) -> AsyncIterator[Asked]:
    with rows(source.path, source.sheet.kind, source.delimiter, with_channel=source.sheet.channel is not None) as each:
        for row in each:
            try:
                commands = at_hand.commands(row)
            except Wrong:
                continue
            for command in commands:
                yield command
