"""What a person writes in a conversation: messages and comments."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import msgspec
from starlette.exceptions import HTTPException
from starlette.responses import Response

from console.pages.conversations import view
from console.pages.conversing import back, give
from console.pages.page import WAIT_S, Notice, PageRequest, PageRoute
from console.pages.rendering import in_words
from console.pages.telling import told
from console.reading import contacts, conversations, settings
from console.texts import text
from schemas.building import Record, send_record
from schemas.inbound import Content
from schemas.sends import Confirmation, Recipient, Requester, SendRequest

_LONGEST: Final = 100_000


async def write(page: PageRequest) -> Response:
    """Sends a message, or keeps a comment. What was typed is never lost: a refusal shows it again."""
    written = str(page.form.get("text", "")).strip()
    if not written or len(written) > _LONGEST:
        told_why = text("conversations.nothing_written" if not written else "conversations.too_long")
        return await _again(page, told_why, written)
    if page.form.get("as") == "comment":
        return back(page, told(await give(page, "comment", text=written), text("conversations.done_comment")))
    return await _send(page, written)


async def _send(page: PageRequest, written: str) -> Response:
    confirmed = page.form.get("as") == "confirmed"
    async with page.parts.postgres.snapshot() as connection:
        contact_id = await contacts.present(connection, page.workspace, page.uuid("contact_id"))
        routes = await conversations.routes(connection, page.workspace, contact_id)
        known = await settings.workspace(connection, page.workspace) or {}
    route = next((one for one in routes if one["channel_id"] == page.form.get("route")), None)
    if route is None:
        return await _again(page, text("conversations.no_channel"), written)
    if confirmed and known.get("two_person_confirm"):
        raise HTTPException(403)
    send_id = page.new_id("send", {"text": written, "route": route["channel_id"], "confirmed": confirmed})
    try:
        record = _record(page, send_id, contact_id, route, written, confirmed=confirmed)
    except (ValueError, msgspec.ValidationError) as error:
        return await _again(page, str(error), written)
    asking = page.parts.asking.send(page.workspace, send_id, record, WAIT_S)
    status = await page.answered(send_id, asking)
    if status is not None and status["status"] == "refused":
        return await _again(page, text("conversations.refused", why=in_words("reasons", status["reason"])), written)
    return back(page, _notice(status, route))


def _record(
    page: PageRequest, send_id: UUID, contact_id: UUID, route: Mapping[str, Any], written: str, *, confirmed: bool
) -> Record:
    name = page.person.name
    return send_record(
        SendRequest(
            send_id=send_id,
            workspace_id=page.workspace,
            channel_id=route["channel_id"],
            channel=route["channel"],
            to=Recipient(contact_id=contact_id),
            content=Content(type="text", text=written),
            requested_at=page.now,
            requested_by=Requester(id=name, role=page.person.role),
            source="inbox",
            confirmation=Confirmation(confirmed_by=name, confirmed_at=page.now) if confirmed else None,
        )
    )


def _notice(status: Mapping[str, Any] | None, route: Mapping[str, Any]) -> Notice:
    if status is None:
        return Notice("waiting", text("conversations.send_waits"))
    if status["status"] == "held":
        why = " ".join(in_words("reasons", code) for code in status["reasons"])
        return Notice("waiting", text("conversations.held", why=why))
    return Notice("done", text("conversations.done_send", channel=in_words("channels", route["channel"])))


async def _again(page: PageRequest, why: str, written: str) -> Response:
    page.notice = Notice("failed", why)
    return await view(page, text=written, route=page.form.get("route"))


PAGES: Final = (PageRoute("conversations/{contact_id}/messages", write, "POST"),)
