"""`sluice mac`: present counts, and why a contact is in one. Says what does not exist instead of an empty table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from workers.app.database_failures import reading
from workers.app.settings import Settings
from workers.cli.reports import Report, require_workspace, show
from workers.errors import NotFound
from workers.rules.wording import time_text
from workers.store import reports
from workers.store.connection import Connection

if TYPE_CHECKING:
    from rich.console import Console

_ABOUT_CONTACT: Final = ("active", "verdict", "counted_as")


@dataclass(frozen=True, slots=True)
class CountFilter:
    """Which counts: of a workspace, of the cycle that begins at `cycle`, of cycles that end after `since`."""

    workspace: str | None
    cycle: datetime | None
    since: datetime | None
    limit: int


async def mac(settings: Settings, wanted: CountFilter) -> Report:
    """Counts by workspace and cycle.

    Raises:
        NotFound: there is no such workspace or cycle.
    """
    async with reading(settings) as tx:
        rows = await reports.mac(tx, wanted.workspace, wanted.cycle, wanted.since, wanted.limit)
        if rows:
            # Shown to people only while it says something.
            final = not any(row["counting_again"] for row in rows)
            details = ("cycle_end", "closed_at", "revision", *(["counting_again"] if final else []))
            return Report({"mac": rows}, details=details, limit=wanted.limit)
        await require_cycle(tx, wanted.workspace, wanted.cycle)
        return Report({"mac": rows}, hint=_why_none(wanted))


async def explained(settings: Settings, workspace: str, cycle: datetime, contact: UUID, limit: int) -> dict[str, Any]:
    """Whether a contact counts in a cycle, in a sentence and as data; its messages there, each with its effect, and
    what was adjusted after the cycle had closed.

    Raises:
        NotFound: there is no such workspace or cycle, or the contact is unknown.
    """
    async with reading(settings) as tx:
        rows = await reports.explain_mac(tx, workspace, cycle, contact, limit)
        if not rows:
            await require_cycle(tx, workspace, cycle)
            raise NotFound(f"workspace {workspace!r} has no contact {contact}")
        adjusted = await reports.adjustments_of_contact(tx, workspace, cycle, rows[0]["counted_as"], limit)
    about = {name: rows[0][name] for name in _ABOUT_CONTACT}
    messages = [{n: v for n, v in row.items() if n not in about} for row in rows if row["message_id"] is not None]
    of = {"workspace_id": workspace, "cycle_start": cycle, "contact_id": contact}
    return {**of, **about, "messages": messages, "adjustments": list(map(dict, adjusted))}


def show_explained(console: "Callable[[], Console]", document: Mapping[str, Any], *, wide: bool) -> None:
    """Prints the sentence, and below it the messages and the adjustments."""
    screen = console()
    screen.print(document["verdict"])
    tables = {name: document[name] for name in ("messages", "adjustments") if document[name]}
    if tables:
        screen.print()
        show(lambda: screen, Report(tables, details=("channel", "kind", "counted")), as_json=False, wide=wide)


async def require_cycle(tx: Connection, workspace: str | None, cycle: datetime | None) -> None:
    """Raises NotFound if there is no such workspace, or no such cycle."""
    if workspace is not None:
        await require_workspace(tx, workspace)
    if cycle is None or await reports.has_cycle(tx, workspace, cycle):
        return
    whose = "no workspace has a cycle" if workspace is None else f"workspace {workspace!r} has no cycle"
    around = None if workspace is None else await reports.cycle_around(tx, workspace, cycle)
    hint = "" if around is None else f"; the one that contains that time begins at {time_text(around)}"
    raise NotFound(f"{whose} that begins at {time_text(cycle)}{hint}")


def _why_none(wanted: CountFilter) -> str:
    if wanted.since is not None:
        return f"No cycle ends after {time_text(wanted.since)}."
    if wanted.workspace is not None:
        return "That workspace has no message yet: its first one begins its first cycle."
    return "No workspace has a message yet."
