"""What `sluice holds` shows of one hold."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import msgspec

from workers.app.database_failures import reading
from workers.app.settings import Settings
from workers.cli.pages import Page, content_lines
from workers.cli.reports import require_workspace
from workers.errors import NotFound
from workers.rules import wording
from workers.store import send_reports
from workers.store.connection import Connection

MOST_COUNTED: Final = 10_000  # holds of a group: to count more takes long
_JSON: Final = ("content", "shown_grounds", "new_grounds")


async def shown(settings: Settings, workspace: str, send_id: UUID) -> dict[str, Any]:
    """A hold, with the reasons and the result of a confirmation in words.

    Raises:
        NotFound: there is no such workspace or hold.
    """
    async with reading(settings) as tx:
        row = await send_reports.hold(tx, workspace, send_id)
        if row is None:
            raise NotFound(await _why_not(tx, workspace, send_id))
        hold = dict(row) | {name: msgspec.json.decode(row[name]) for name in _JSON}
        of_group = None
        if hold["group_id"] is not None:
            of_group = await send_reports.holds_of_group(tx, workspace, hold["group_id"], MOST_COUNTED + 1)
    words = wording.grounds(hold["reasons"], hold["shown_grounds"])
    return hold | {"reasons_in_words": words, "confirming": wording.confirming(hold), "group_holds": of_group}


async def _why_not(tx: Connection, workspace: str, send_id: UUID) -> str:
    await require_workspace(tx, workspace)
    status = await send_reports.status_of_send(tx, workspace, send_id)
    if status is None:
        return f"workspace {workspace!r} has no send {send_id}"
    if status == "held":
        return (
            f"send {send_id} does not wait for a person any more: it is answered, and the answer is being carried out"
        )
    return f"send {send_id} does not wait for a person: it is {status}"


def page(hold: Mapping[str, Any]) -> Page:
    """A hold as people read it."""
    now, of_group = hold["now"], hold["group_holds"]
    counted = f"{of_group:,}" if of_group is not None and of_group <= MOST_COUNTED else f"more than {MOST_COUNTED:,}"
    return {
        "hold": str(hold["send_id"]),
        "to": wording.recipient(hold),
        "contact": _id(hold["contact_id"]),
        "profile": hold["profile_id"],
        "text": content_lines(hold["content"]),
        "waits": hold["reasons_in_words"],
        "requested": wording.requester(hold),
        "run": wording.step(hold),
        "held": wording.when(hold["held_at"], now),
        "expires": wording.when(hold["expires_at"], now),
        "group": f"{hold['group_id']}: {counted} of it wait" if of_group is not None else None,
        "confirming": hold["confirming"],
    }


def _id(value: UUID | None) -> str | None:
    return None if value is None else str(value)
