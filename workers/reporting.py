"""What the commands that look show: tables for people, one JSON document for machines."""

import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from rich.console import Console
from rich.table import Table

from schemas.topics import TOPICS
from workers.explaining import connected
from workers.runtime.batch import Connection
from workers.runtime.topics import Checked
from workers.settings import Settings
from workers.store import reports

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Report:
    """Named tables; in JSON an object of arrays, or the array itself where there is one table only."""

    tables: Mapping[str, Rows]
    hint: str = ""


async def status(settings: Settings) -> Report:
    """Progress by partition, what waits, dead letters."""
    async with reading(settings) as tx:
        backlog = await reports.backlog(tx)
        return Report(
            {
                "progress": await reports.progress(tx),
                "waiting": [{"what": name.replace("_", " "), "count": count} for name, count in dict(backlog).items()],
                "dead letters": await reports.dead_letters(tx),
            },
            hint="No record has been applied yet.",
        )


async def holds(settings: Settings, workspace: str | None, limit: int) -> Report:
    """Sends that wait for a person."""
    async with reading(settings) as tx:
        return Report({"holds": await reports.holds(tx, workspace, limit)}, hint="Nothing is held.")


async def mac(settings: Settings, workspace: str | None, since: datetime | None, limit: int) -> Report:
    """Counts by workspace and cycle."""
    async with reading(settings) as tx:
        return Report({"mac": await reports.mac(tx, workspace, since, limit)}, hint="No workspace has a message yet.")


async def explain_mac(settings: Settings, workspace: str, cycle: datetime, contact: UUID) -> Report:
    """A contact's messages in a cycle and what each of them does to the count."""
    async with reading(settings) as tx:
        rows = await reports.explain_mac(tx, workspace, cycle, contact)
        return Report({"explanation": rows}, hint="That contact has no message in that cycle.")


def show(console: Console, report: Report, *, as_json: bool) -> None:
    """Print a report."""
    documents = {name: [dict(row) for row in rows] for name, rows in report.tables.items()}
    if as_json:
        as_document(next(iter(documents.values())) if len(documents) == 1 else documents)
        return
    if not any(documents.values()):
        console.print(report.hint)
    for name, rows in documents.items():
        if rows:
            console.print(_table(name, rows))


def describe_topics(console: Console, *, as_json: bool) -> None:
    """The registry of topics, without asking Kafka."""
    rows = [
        {
            "topic": spec.name,
            "direction": spec.direction,
            "key": spec.key,
            "about": spec.about,
            "settings": ", ".join(f"{name}={value}" for name, value in spec.config().items()),
        }
        for spec in TOPICS.values()
    ]
    show(console, Report({"topics": rows}), as_json=as_json)


def checked_topics(console: Console, checked: Checked, *, as_json: bool) -> None:
    """What was made, and what is set otherwise than the registry says."""
    if as_json:
        as_document({"created": checked.created, "wrong": checked.wrong})
        return
    for name in checked.created:
        console.print(f"created {name}")
    for name, settings in checked.wrong.items():
        for setting, (expected, found) in settings.items():
            console.print(f"{name}: {setting} is {found or 'not set'}, expected {expected}")
    if not checked.created and not checked.wrong:
        console.print("all topics are there, set as they should be")


@asynccontextmanager
async def reading(settings: Settings) -> AsyncIterator[Connection]:
    """A connection in a transaction that sees one moment and changes nothing.

    Raises:
        SetupError, Unreachable: see `connected`.
    """
    async with (
        connected(settings, "report") as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        yield connection


def _table(name: str, rows: Rows) -> Table:
    table = Table(title=name, title_justify="left", header_style="bold")
    for column in rows[0]:
        table.add_column(str(column), justify="right" if isinstance(rows[0][column], int) else "left")
    for row in rows:
        table.add_row(*(_text(value) for value in row.values()))
    return table


def as_lines(document: Mapping[str, Any]) -> str:
    """One thing for people: a line for each of its properties. What others wrote cannot steer the terminal."""
    return "\n".join(f"{name}: {_harmless(_text(value))}" for name, value in document.items())


def _harmless(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%S}Z"
        case list():
            return ", ".join(map(str, value))
        case _:
            return str(value)


def as_document(document: object) -> None:
    """Print one JSON document."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(document, enc_hook=str), indent=2).decode() + "\n")
