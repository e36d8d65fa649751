"""Conversations: folders of them, and one beside them."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from starlette.exceptions import HTTPException
from starlette.responses import Response

from console import snoozing, written
from console.pages.answers import counted
from console.pages.page import PageRequest, PageRoute
from console.pages.telling import grounds
from console.reading import contacts, conversations, naming, people, profiles, settings
from console.reading.paging import DEFAULT, Rows
from workers.rules.wording import PROTECTIONS

FOLDERS: Final = ("open", "mine", "snoozed", "closed", "blocked")
_SUGGESTED: Final = 8
_DELIVERED: Final = {"sent": "ok", "delivered": "ok", "read": "ok", "failed": "bad", "ambiguous": "held"}


async def shown(page: PageRequest) -> Response:
    """A folder, and the conversation that is opened."""
    return await view(page)


async def view(page: PageRequest, **draft: Any) -> Response:
    """The page; `draft`: what was typed and could not be sent."""
    folder = page.query("folder") or "open"
    if folder not in FOLDERS:
        raise HTTPException(404)
    keep = {
        "folder": folder if folder != "open" else None,
        "q": page.query("q"),
        "cursor": page.query("cursor"),
        "side": page.query("side"),
    }
    async with page.parts.postgres.snapshot() as connection:
        one = None
        if "contact_id" in page.request.path_params:
            contact_id = page.uuid("contact_id")
            present = await contacts.present(connection, page.workspace, contact_id)
            if present != contact_id:
                return page.to(f"conversations/{present}", None, **keep)
            one = await _conversation(page, connection, contact_id)
        return await page.render(
            connection,
            "conversations",
            folder=folder,
            keep=keep,
            counts=await conversations.counts(connection, page.workspace, page.person.name),
            rows=await _rows(page, connection, folder),
            one=one,
            opened=page.request.path_params.get("contact_id"),
            asked=page.query("ask"),
            draft={"text": "", "route": None} | draft,
            protections=PROTECTIONS,
            counted=counted,
            tones=_DELIVERED,
            written=written.shown,
        )


async def _rows(page: PageRequest, connection: Any, folder: str) -> Rows:
    query, cursor = page.query("q"), page.query("cursor")
    if query is not None:
        return await contacts.found(connection, page.workspace, query, DEFAULT, cursor)
    if folder == "blocked":
        return await contacts.blocked(connection, page.workspace, DEFAULT, cursor)
    mine = folder == "mine"
    assignee = page.person.name if mine else None
    return await conversations.folder(connection, page.workspace, "open" if mine else folder, assignee, DEFAULT, cursor)


async def _conversation(page: PageRequest, connection: Any, contact_id: UUID) -> Mapping[str, Any]:
    """Everything that is shown of one conversation."""
    workspace = page.workspace
    contact = await contacts.contact(connection, workspace, contact_id)
    if contact is None:
        raise HTTPException(404)
    known = await settings.workspace(connection, workspace) or {}
    profile, protections = None, []
    if contact["profile_id"] is not None:
        profile = await profiles.profile(connection, workspace, contact["profile_id"])
        named = await conversations.grounds(connection, profile) if profile is not None else []
        protections = grounds(profile["reasons"] if profile is not None else ["protection_unknown"], named)
    messages = await contacts.messages(connection, workspace, contact_id, DEFAULT, page.query("before"))
    routes = await conversations.routes(connection, workspace, contact_id)
    place = snoozing.zone_of(known.get("time_zone"))
    blocked_at = contact["blocked_at"]
    return {
        "contact": contact,
        "profile": profile,
        "companies": await naming.companies(connection, workspace, profile["companies"]) if profile is not None else {},
        "side": "profile" if profile is not None and page.query("side") == "profile" else "contact",
        "protections": protections,
        "messages": messages.items[::-1],
        "older": messages.next,
        "routes": routes,
        "route": _preferred(routes, messages.items),
        "held": await conversations.held(connection, workspace, contact_id),
        "dropped": await conversations.dropped(connection, workspace, contact_id),
        "most_dropped": conversations.MOST_DROPPED,
        "two_person": known.get("two_person_confirm"),
        "until": await conversations.snoozed_until(connection, workspace, contact_id)
        if contact["conversation_status"] == "snoozed"
        else None,
        "uncounted_from": blocked_at and await conversations.uncounted_from(connection, workspace, blocked_at),
        "people": await conversations.people(connection, workspace),
        "snoozes": snoozing.choices(page.now, place),
        "place": place,
        **await _asked(page, connection, contact_id),
    }


async def _asked(page: PageRequest, connection: Any, contact_id: UUID) -> Mapping[str, Any]:
    """What the question needs that the page asks."""
    impact, found = None, None
    typed = page.query("profile")
    match page.query("ask"):
        case "block":
            impact = await people.impact(connection, page.workspace, "block_contact", contact_id=str(contact_id))
        case "attach" if typed is not None:
            found = (await profiles.found(connection, page.workspace, typed, _SUGGESTED, None)).items
        case _:
            pass
    return {"impact": impact, "found": found, "typed": typed}


def _preferred(routes: Any, messages: Any) -> str | None:
    """The channel that an answer goes to: the one that the contact used last, or else the first that can be used."""
    usable = [route["channel_id"] for route in routes if PROTECTIONS.issuperset(route["reasons"])]
    used = (one["channel_id"] for one in messages if one["direction"] == "in" and one["channel_id"] in usable)
    return next(used, usable[0] if usable else None)


PAGES: Final = (
    PageRoute("conversations", shown),
    PageRoute("conversations/{contact_id}", shown),
)
