"""What `sluice contacts messages`, `profiles moments` and `drops` show: messages, newest first."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import msgspec

from workers.app.database_failures import reading
from workers.app.settings import Settings
from workers.cli import paging
from workers.cli.customers import no_contact, no_profile
from workers.cli.pages import content_lines
from workers.cli.reports import Report, require_workspace
from workers.store import page_reports, reports

_MOST_TOLD: Final = 300  # characters of a text in a table
_JSON: Final = ("content", "attachments")
_DETAILS: Final = ("workspace_id", "conversation_id", "message_id", "source", "counted", "bypassed_block")


async def messages(settings: Settings, workspace: str, contact_id: UUID, before: str | None, limit: int) -> Report:
    """The conversation of a contact: messages, sends and comments. Of one that was merged away the survivor's.

    Raises:
        NotFound: there is no such workspace or contact.
        SettingsError: see `paging.before`.
    """
    start = paging.before(before)
    async with reading(settings) as tx:
        rows = await page_reports.conversation(tx, workspace, contact_id, start, limit)
        if not rows and await reports.contact(tx, workspace, await reports.present(tx, workspace, contact_id)) is None:
            raise await no_contact(tx, workspace, contact_id)
    return _history("messages", rows, ("contact_id", "channel_id", *_DETAILS), limit)


async def moments(settings: Settings, workspace: str, profile_id: str, before: str | None, limit: int) -> Report:
    """Messages of the contacts that are attached to a profile now.

    Raises:
        NotFound: there is no such workspace or profile.
        SettingsError: see `paging.before`.
    """
    start = paging.before(before)
    async with reading(settings) as tx:
        rows = await page_reports.moments(tx, workspace, profile_id, start, limit)
        if not rows and await reports.profile(tx, workspace, profile_id) is None:
            raise await no_profile(tx, workspace, profile_id)
    return _history("moments", rows, ("profile_id", "attachments", *_DETAILS), limit)


def _history(name: str, rows: list[reports.Row], details: tuple[str, ...], limit: int) -> Report:
    found = [_decoded(row) for row in rows]
    following = paging.older_than(rows, "event_time", "message_id")
    hint = "There is no message, or none that is older."
    return Report({name: found}, hint=hint, details=details, limit=limit, following=following, told=_told)


def _decoded(row: reports.Row) -> dict[str, Any]:
    return dict(row) | {name: msgspec.json.decode(row[name]) for name in _JSON if row.get(name) is not None}


def _told(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row as people read it: the time first, last the content as a text that fits into a table."""
    content = row["content"] or {}
    text = "\n".join(content_lines(content)) or str(content.get("type", ""))
    beside = {name: value for name, value in row.items() if name not in ("event_time", "content")}
    content = text if len(text) <= _MOST_TOLD else f"{text[:_MOST_TOLD]}…"
    return {"event_time": row["event_time"], **beside, "content": content}


async def drops(settings: Settings, workspace: str, contact: UUID | None, before: str | None, limit: int) -> Report:
    """Dropped messages, without content: why, and whether they count.

    Raises:
        NotFound: there is no such workspace.
        SettingsError: see `paging.before`.
    """
    start = paging.before(before)
    async with reading(settings) as tx:
        if contact is None:
            rows = await page_reports.drops(tx, workspace, start, limit)
        else:
            present = await reports.present(tx, workspace, contact)
            rows = await page_reports.drops_of_contact(tx, workspace, present, start, limit)
        if not rows:
            await require_workspace(tx, workspace)
    following = paging.older_than(rows, "event_time", "message_id")
    details = ("workspace_id", "message_id", "decided_at")
    return Report({"drops": rows}, hint="No message was dropped.", details=details, limit=limit, following=following)
