"""Output of the commands that read: tables for people, one JSON document for machines."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from workers.app.database_failures import reading
from workers.app.settings import Settings
from workers.errors import NotFound
from workers.store import reports, send_reports
from workers.store.connection import Connection
from workers.terminal_text import visible_json

if TYPE_CHECKING:
    from rich.console import Console

    from workers.cli.tables import Rows
    from workers.kafka.topics import TopicReport


@dataclass(frozen=True, slots=True)
class Report:
    """Named tables; in JSON an object of arrays, or one array if there is one table only. `details` are columns that
    the terminal shows only with --wide. `limit`: the maximum number of rows of a table, though there may be more;
    `following`: the option that shows those behind the last row. `told`: a row as people read it.
    """

    tables: Mapping[str, "Rows"]
    hint: str = ""
    details: Sequence[str] = ()
    limit: int | None = None
    following: str | None = None
    told: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict


async def holds(settings: Settings, workspace: str | None, group: str | None, limit: int) -> Report:
    """Sends that wait for a person; with a group only those of it.

    Raises:
        NotFound: there is no such workspace.
    """
    async with reading(settings) as tx:
        details = ("group_id", "contact_id", "profile_id", "channel", "releasable", "requested_by", "requested_at")
        rows = await send_reports.holds(tx, workspace, group, limit)
        if workspace is not None and not rows:
            await require_workspace(tx, workspace)
        return Report({"holds": rows}, hint="Nothing is held.", details=(*details, "held_at"), limit=limit)


async def deletions(settings: Settings, workspace: str | None, limit: int) -> Report:
    """How far the history of deleted contacts is erased.

    Raises:
        NotFound: there is no such workspace.
    """
    async with reading(settings) as tx:
        rows = await reports.deletions(tx, workspace, limit)
        if workspace is not None and not rows:
            await require_workspace(tx, workspace)
        return Report({"deletions": rows}, hint="No contact was deleted.", limit=limit)


async def require_workspace(tx: Connection, workspace: str) -> None:
    """Raises NotFound if there is no such workspace."""
    if not await reports.has_workspace(tx, workspace):
        raise NotFound(f"there is no workspace {workspace!r}")


def show(console: "Callable[[], Console]", report: Report, *, as_json: bool, wide: bool = False) -> None:
    """Prints a report. JSON needs no console, which takes long to make."""
    if as_json:
        as_document(documents(report))
        return
    from workers.cli import tables

    rows_of = {name: [dict(row) for row in rows] for name, rows in report.tables.items()}
    screen = console()
    if not any(rows_of.values()):
        screen.print(report.hint)
    for number, (name, rows) in enumerate((name, rows) for name, rows in rows_of.items() if rows):
        if number:
            screen.print()
        tables.show(screen, name, [report.told(row) for row in rows], () if wide else report.details)


def documents(report: Report) -> object:
    """A report for machines: an array for each table, or one array if there is one table only."""
    found = {name: [dict(row) for row in rows] for name, rows in report.tables.items()}
    return next(iter(found.values())) if len(found) == 1 else found


def describe_topics(console: "Callable[[], Console]", *, as_json: bool, wide: bool) -> None:
    """The registry of topics, without asking Kafka."""
    from schemas.topics import EVERY_TOPIC

    rows = [
        {
            "topic": spec.name,
            "direction": spec.direction,
            "key": spec.key,
            "about": spec.about,
            "settings": ", ".join(f"{name}={value}" for name, value in spec.config().items()),
        }
        for spec in EVERY_TOPIC.values()
    ]
    show(console, Report({"topics": rows}, details=("key", "settings")), as_json=as_json, wide=wide)


def checked_topics(console: "Console", checked: "TopicReport", *, as_json: bool) -> None:
    """Topics that were created, and settings that differ from the registry."""
    if as_json:
        as_document({"created": checked.created, "wrong": checked.wrong})
        return
    for name in checked.created:
        console.print(f"created {name}")
    for name, settings in checked.wrong.items():
        for setting, (expected, found) in settings.items():
            console.print(f"{name}: {setting} is {found or 'not set'}, expected {expected}")
    if not checked.created and not checked.wrong:
        console.print("all topics exist, with the right settings")


def as_document(document: object) -> None:
    """Prints one JSON document."""
    text = msgspec.json.format(msgspec.json.encode(document, enc_hook=str), indent=2).decode()
    sys.stdout.write(visible_json(text) + "\n")
