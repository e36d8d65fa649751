"""What `sluice sends` shows: lists, one send with its history, the progress of a group."""

from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from workers.app.database_failures import reading
from workers.app.settings import Settings
from workers.cli import paging, send_words
from workers.cli.pages import Page, content_lines
from workers.cli.reports import Report, require_workspace
from workers.errors import NotFound
from workers.rules import wording
from workers.store import reports, send_reports
from workers.store.connection import Connection


class SendFilter(NamedTuple):
    """Which sends to list; None: all. `contact_id`, `group_id` and `before` need a workspace."""

    workspace_id: str | None
    contact_id: UUID | None
    group_id: str | None
    status: str | None
    before: str | None
    limit: int


async def listed(settings: Settings, wanted: SendFilter) -> Report:
    """Sends, those that changed last on top.

    Raises:
        NotFound: there is no such workspace.
        SettingsError: see `paging.before`.
    """
    workspace, contact, group, status, _, limit = wanted
    start = paging.before(wanted.before)
    async with reading(settings) as tx:
        if workspace is None:
            rows = await send_reports.sends_everywhere(tx, status, limit)
        elif contact is not None:
            present = await reports.present(tx, workspace, contact)
            rows = await send_reports.sends_of_contact(tx, workspace, present, group, status, start, limit)
        elif group is not None:
            rows = await send_reports.sends_of_group(tx, workspace, group, status, start, limit)
        else:
            rows = await send_reports.sends(tx, workspace, status, start, limit)
        if workspace is not None and not rows:
            await require_workspace(tx, workspace)
    details = ("group_id", "contact_id", "attempt", *(["workspace_id"] if workspace is not None else []))
    following = None if workspace is None else paging.older_than(rows, "updated_at", "send_id")
    return Report({"sends": rows}, hint="There is no such send.", details=details, limit=limit, following=following)


async def shown(settings: Settings, workspace: str, send_id: UUID) -> dict[str, Any]:
    """A send, its attempts with what receipts said, its confirmations, and what can be done next.

    Raises:
        NotFound: there is no such workspace or send.
    """
    async with reading(settings) as tx:
        send = await told(tx, workspace, send_id)
        if send is None:
            await require_workspace(tx, workspace)
            raise NotFound(f"workspace {workspace!r} has no send {send_id}")
        return send


async def told(tx: Connection, workspace: str, send_id: UUID) -> dict[str, Any] | None:
    """The same by a connection; None if there is no such send."""
    row = await send_reports.send(tx, workspace, send_id)
    if row is None:
        return None
    send = dict(row) | {"content": msgspec.json.decode(row["content"])}
    attempts = [dict(one) for one in await send_reports.attempts(tx, workspace, send_id)]
    given = [dict(one) for one in await send_reports.confirmations(tx, workspace, send_id)]
    history = {"attempts": attempts, "confirmations": given, "next": send_words.next_steps(send, attempts)}
    return send | {"reason_in_words": wording.reason(send["reason"]) if send["reason"] else None, **history}


def page(send: Mapping[str, Any]) -> Page:
    """A send as people read it."""
    return {
        "send": str(send["send_id"]),
        "to": wording.recipient(send),
        "contact": str(send["contact_id"]) if send["contact_id"] is not None else None,
        "text": content_lines(send["content"]),
        "requested": wording.requester(send),
        "source": send["source"],
        "run": wording.step(send),
        "group": send["group_id"],
        "status": send_words.status(send),
        "since": wording.when(send["updated_at"], send["now"]),
        "attempts": [line for one in send["attempts"] for line in send_words.attempt(one)],
        "confirmed": [send_words.confirmation(one) for one in send["confirmations"]],
        "next": send["next"],
    }


async def grouped(settings: Settings, workspace: str, group_id: str) -> dict[str, Any]:
    """A group of sends, counted by status, and how far it is.

    Raises:
        NotFound: there is no such workspace or group.
    """
    async with reading(settings) as tx:
        counts = await send_reports.group(tx, workspace, group_id)
        if not counts:
            await require_workspace(tx, workspace)
            raise NotFound(f"workspace {workspace!r} has no group {group_id!r} of sends")
    progress = send_words.progress(counts)
    return {"workspace_id": workspace, "group_id": group_id, "statuses": counts, **progress._asdict()}


def group_page(group: Mapping[str, Any]) -> Page:
    """A group as people read it."""
    counts, total = group["statuses"], group["sends"]
    return {
        "group": group["group_id"],
        "progress": send_words.bar(group["finished"], total),
        **{word: send_words.counted(counts, states) for word, states in send_words.STANDINGS.items()},
    }
