"""What every command of `sluice` needs: settings, a console, running of async code, and shared options."""

import asyncio
import os
import re
import sys
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from workers.errors import SettingsError
from workers.terminal_text import visible

if TYPE_CHECKING:
    from rich.console import Console

    from workers.app.settings import Settings
    from workers.cli.pages import Page
    from workers.cli.reports import Report

T = TypeVar("T")

_COLUMNS: Final = "COLUMNS"
_PIPED_WIDTH: Final = 240  # wider than any terminal, so no cell is broken

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document for machines.")]
Wide = Annotated[bool, typer.Option("--wide", help="Every column, also those that a narrow terminal leaves out.")]
Limit = Annotated[int, typer.Option(min=1, max=100_000, help="Maximum number of rows.")]
PageSize = Annotated[int, typer.Option("--limit", min=1, max=1000, help="Maximum number of rows.")]
Older = Annotated[
    str | None,
    typer.Option("--before", metavar="TIME[/ID]", help="Only what is older; a full page tells it for the next one."),
]

OfWorkspace = Annotated[str | None, typer.Option("--workspace", help="Only this workspace.")]

ActorId = Annotated[str, typer.Option("--actor", metavar="ID", help="The id of who gives it; it is audited.")]
RoleOf = Annotated[str, typer.Option("--role", help="The role of the actor: owner, manager, agent or system.")]
FromModule = Annotated[str, typer.Option("--module", help="inbox, contacts, profiles, settings or api.")]
Restrictions = Annotated[
    list[str] | None,
    typer.Option("--restriction", help="What binds a manager: contact_deletion, data_export or settings. Repeatable."),
]
Timeout = Annotated[float, typer.Option("--timeout", help="How long to wait for an answer, in seconds.")]

# RFC 3339, the form of the commands' tables and psql, and a date alone.
_MOMENT: Final = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d(?::?\d\d)?)?)?", re.ASCII | re.IGNORECASE
)


def moment(text: str | None, option: str) -> datetime | None:
    """The time of an option that may be left out: see `required_moment`."""
    return None if text is None else required_moment(text, option)


def required_moment(text: str, option: str) -> datetime:
    """A time as every command reads it: RFC 3339, also with a blank for the T.

    Seconds, offset and time may be left out: without an offset it is UTC, a date is its first instant.

    Raises:
        SettingsError: it is no time; names the option.
    """
    try:
        if not _MOMENT.fullmatch(text):
            raise ValueError
        found = datetime.fromisoformat(text.upper())
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise SettingsError(
            f"{option}: expected a time such as 2026-03-01T00:00:00Z or a date such as 2026-03-01, got {text!r}"
        ) from None


def input_topic(name: str | None, option: str) -> str | None:
    """The name of an input topic, without prefix.

    Raises:
        SettingsError: there is none of this name; names the option and the topics.
    """
    from schemas.topics import INPUTS

    names = [topic.name for topic in INPUTS]
    if name is not None and name not in names:
        raise SettingsError(f"{option}: {name} is no input topic; expected any of {', '.join(names)}")
    return name


def settings() -> "Settings":
    """This process's settings.

    Raises:
        SettingsError: see `load_settings`.
    """
    from workers.app.settings import load_settings

    return load_settings()


def console() -> "Console":
    """Standard output, with its own width or that of COLUMNS."""
    from workers.cli.tables import Screen

    known = sys.stdout.isatty() or _COLUMNS in os.environ
    return Screen(width=None if known else _PIPED_WIDTH, markup=False, emoji=False, highlight=False)


def say(text: str) -> None:
    """Prints one line to standard error."""
    typer.echo(visible(text), err=True)


def show(report: "Coroutine[Any, Any, Report]", *, as_json: bool, wide: bool = False) -> None:
    """Makes a report and prints it."""
    from workers.cli import reports

    made = run_to_end(report)
    reports.show(console, made, as_json=as_json, wide=wide)
    if made.limit is not None:
        say_if_all(max(map(len, made.tables.values())), made.limit, made.following)


def show_page(document: "Mapping[str, Any]", page: "Callable[[Mapping[str, Any]], Page]", *, as_json: bool) -> None:
    """Prints one thing: a page for people, its document for machines."""
    if as_json:
        from workers.cli import reports

        reports.as_document(document)
        return
    from workers.cli import pages

    pages.show(console(), page(document))


def say_if_all(rows: int, limit: int, following: str | None = None) -> None:
    """Says that there may be more rows than the limit shows, and the option that shows them."""
    if rows >= limit:
        say(f"--limit {limit} is reached; there may be more" + ("." if following is None else f": {following}"))


def run_to_end(work: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine to its end."""
    from workers.process.logs import configure_logging

    configure_logging("auto", "warning")
    return asyncio.run(work)
