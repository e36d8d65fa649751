"""What a person does with a conversation: open, close, snooze, assign, block, attach."""

from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from console import snoozing
from console.asking import CommandAnswer
from console.pages.answers import Question, ask, given, is_sure, touched
from console.pages.page import Notice, PageRequest, PageRoute
from console.pages.telling import told
from console.reading import contacts, people, settings
from console.texts import text
from schemas.fields import utc_text

_BLOCKED: Final = ("runs_halted", "holds_cancelled", "messages_revised")


async def give(page: PageRequest, command: str, **fields: Any) -> CommandAnswer | None:
    """Gives a command about the contact, and waits for its answer."""
    return await given(page, command, "inbox", {"contact_id": str(page.uuid("contact_id")), **fields})


async def _done(page: PageRequest, command: str, done: str, **fields: Any) -> Response:
    return back(page, told(await give(page, command, **fields), done))


def back(page: PageRequest, notice: Notice) -> Response:
    """Leads back to the conversation, with the same folder beside it."""
    kept = {name: page.query(name) for name in ("folder", "q", "cursor", "side")}
    return page.to(f"conversations/{page.uuid('contact_id')}", notice, **kept)


async def act(page: PageRequest) -> Response:
    """One of the actions that need no more than a word."""
    match str(page.form.get("do")):
        case "open":
            return await _done(page, "open_conversation", text("conversations.done_open"))
        case "close":
            return await _done(page, "close_conversation", text("conversations.done_close"))
        case "assign":
            assignee = str(page.form.get("assignee", "")) or None
            done = text("conversations.done_assign", name=assignee) if assignee else text("conversations.done_unassign")
            return await _done(page, "assign_conversation", done, assignee=assignee)
        case "snooze":
            return await _snooze(page)
        case "detach":
            return await _detach(page)
        case "attach":
            return await _attach(page)
        case _:
            raise HTTPException(400)


async def _snooze(page: PageRequest) -> Response:
    async with page.parts.postgres.snapshot() as connection:
        known = await settings.workspace(connection, page.workspace) or {}
    place = snoozing.zone_of(known.get("time_zone"))
    until = snoozing.chosen(str(page.form.get("until")), str(page.form.get("typed", "")), page.now, place)
    if until is None or until <= page.now:
        return back(page, Notice("failed", text("conversations.no_time")))
    local = until.astimezone(place)
    done = text("conversations.done_snooze", at=f"{local:%Y-%m-%d %H:%M}", zone=str(place))
    return await _done(page, "snooze_conversation", done, until=utc_text(until))


async def _attach(page: PageRequest) -> Response:
    profile_id, name = str(page.form.get("profile_id", "")), str(page.form.get("name", "")).strip()
    if not profile_id and not name:
        return back(page, Notice("failed", text("conversations.no_profile")))
    if profile_id and not is_sure(page):
        asked = await _protecting(page, profile_id)
        if asked is not None:
            return asked
    fields = {"profile_id": profile_id} if profile_id else {"profile_name": name}
    answer = await give(page, "attach_contact", **fields)
    made = answer is not None and answer.changed.get("profile_created")
    done = "conversations.done_attach_new" if made else "conversations.done_attach"
    undo = (_here(page), [("do", "detach")], text("frame.undo"))
    return back(page, told(answer, text(done, name=name or profile_id), undo))


async def _protecting(page: PageRequest, profile_id: str) -> Response | None:
    """Asks first, if the profile protects the contact and nothing does so yet."""
    contact_id = str(page.uuid("contact_id"))
    async with page.parts.postgres.snapshot() as connection:
        figures = await people.impact(
            connection, page.workspace, "attach_contact", contact_id=contact_id, profile_id=profile_id
        )
        if not figures["contacts"]:
            return None
        fields = [("do", "attach"), ("profile_id", profile_id)]
        lines = touched(figures, "protect")
        question = Question(text("profiles.protect_title"), lines, text("profiles.protect_button"), fields, _here(page))
        return await ask(page, connection, "conversations", question)


def _here(page: PageRequest) -> str:
    return page.at(f"conversations/{page.uuid('contact_id')}")


async def _detach(page: PageRequest) -> Response:
    async with page.parts.postgres.snapshot() as connection:
        contact = await contacts.contact(connection, page.workspace, page.uuid("contact_id"))
    notice = told(await give(page, "detach_contact"), text("conversations.done_detach"))
    if contact is not None and contact["profile_id"] is not None and notice.kind == "done":
        fields = [("do", "attach"), ("profile_id", contact["profile_id"]), ("sure", "1")]
        notice = notice._replace(undo=(_here(page), fields, text("frame.undo")))
    return back(page, notice)


async def block(page: PageRequest) -> Response:
    """Blocks the contact, and tells what that did."""
    note = str(page.form.get("note", "")).strip()
    answer = await give(page, "block_contact", note=note or None)
    changed = answer.changed if answer is not None else {}
    parts = [text(f"conversations.did_{name}", changed[name]) for name in _BLOCKED if changed.get(name)]
    return back(page, told(answer, " ".join([text("conversations.done_block"), *parts])))


async def unblock(page: PageRequest) -> Response:
    """Unblocks the contact. Who may also releases what was dropped since the block began."""
    if page.form.get("release") and not page.person.may("release_dropped", "inbox"):
        raise HTTPException(403)
    async with page.parts.postgres.snapshot() as connection:
        contact = await contacts.contact(connection, page.workspace, page.uuid("contact_id"))
    answer = await give(page, "unblock_contact")
    notice = told(answer, text("conversations.done_unblock"))
    since = contact and contact["blocked_at"]
    if notice.kind == "done" and since and page.form.get("release"):
        span = {"from": utc_text(since), "to": utc_text(await page.parts.asking.now())}
        released = told(await give(page, "release_dropped", **span), text("conversations.done_release"))
        notice = Notice(released.kind, f"{notice.text} {released.text}")
    return back(page, notice)


PAGES: Final = (
    PageRoute("conversations/{contact_id}", act, "POST"),
    PageRoute("conversations/{contact_id}/block", block, "POST"),
    PageRoute("conversations/{contact_id}/unblock", unblock, "POST"),
)
