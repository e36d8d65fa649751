"""Calls about contacts."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

from pydantic import model_validator

from console.api.calls import Answer, Asked, Call, Flag, Items, Paged, Typed, When
from console.api.rows import Channel, Contact, ContactShown, Explained, Message
from console.reading import billing, contacts
from console.reading.paging import Rows

_OF_ONE: Final = "/workspaces/{workspace}/contacts/{contact_id}"


class ContactsQuery(Paged):
    """At most one of `q` (a part of a name, number or address), `tag` and `blocked`."""

    q: Typed | None = None
    tag: Typed | None = None
    blocked: Flag = False

    @model_validator(mode="after")
    def _one(self) -> "ContactsQuery":
        if (self.q is not None) + (self.tag is not None) + self.blocked > 1:
            raise ValueError("expected at most one of `q`, `tag` and `blocked`")
        return self


class ExplainQuery(Paged):
    """`cycle`: where the cycle begins; by default the present one."""

    cycle: When | None = None


async def listed(asked: Asked, connection: Any) -> Rows:
    """`GET …/contacts`."""
    query: ContactsQuery = asked.query
    where, page = (connection, asked.workspace), (query.limit, query.cursor)
    if query.q is not None:
        return await contacts.found(*where, query.q, *page)
    if query.tag is not None:
        return await contacts.with_tag(*where, query.tag, *page)
    return await (contacts.blocked(*where, *page) if query.blocked else contacts.by_name(*where, *page))


async def shown(asked: Asked, connection: Any) -> Mapping[str, Any] | Answer | None:
    """`GET …/contacts/{id}`."""
    contact = await contacts.contact(connection, asked.workspace, asked.path["contact_id"])
    return await _moved(asked, connection) if contact is None else contact


async def messages(asked: Asked, connection: Any) -> Rows | Answer | None:
    """`GET …/contacts/{id}/messages`."""
    if await contacts.contact(connection, asked.workspace, asked.path["contact_id"]) is None:
        return await _moved(asked, connection)
    return await contacts.messages(connection, *_of_one(asked))


async def channels(asked: Asked, connection: Any) -> Rows | Answer | None:
    """`GET …/contacts/{id}/channels`."""
    if await contacts.contact(connection, asked.workspace, asked.path["contact_id"]) is None:
        return await _moved(asked, connection)
    return await contacts.channels(connection, *_of_one(asked))


async def explained(asked: Asked, connection: Any) -> Rows | Answer | None:
    """`GET …/contacts/{id}/explain`. Deleted contacts count as well."""
    moved = await _moved(asked, connection)
    query: ExplainQuery = asked.query
    cycle: datetime | None = query.cycle or await billing.present_cycle(connection, asked.workspace)
    if moved is not None or cycle is None:
        return moved
    workspace, contact_id, limit, cursor = _of_one(asked)
    rows = await billing.explained(connection, workspace, cycle, contact_id, limit, cursor)
    return rows if rows.items or cursor else None


def _of_one(asked: Asked) -> tuple[str, UUID, int, str | None]:
    return asked.workspace, asked.path["contact_id"], asked.query.limit, asked.query.cursor


async def _moved(asked: Asked, connection: Any) -> Answer | None:
    """Leads to who the contact is now, the rest of the address unchanged; None: it was not merged, or is not known."""
    was = asked.path["contact_id"]
    now = await contacts.present(connection, asked.workspace, was)
    if now == was:
        return None
    old, url = asked.request.path_params["contact_id"], asked.request.url
    path = quote(url.path).replace(f"/contacts/{old}", f"/contacts/{now}", 1)
    location = f"{path}?{url.query}" if url.query else path
    return Answer({"contact_id": now}, 308, {"location": location})


CALLS: Final = (
    Call(
        "GET",
        "/workspaces/{workspace}/contacts",
        "Contacts that are not blocked, by name; those that are found; those with a tag; or the blocked ones.",
        {200: Items(Contact)},
        read=listed,
        query=ContactsQuery,
    ),
    Call("GET", _OF_ONE, "A contact.", {200: ContactShown}, read=shown, statuses=(308,)),
    Call(
        "GET",
        f"{_OF_ONE}/messages",
        "A conversation, the newest message first.",
        {200: Items(Message)},
        read=messages,
        query=Paged,
        statuses=(308,),
    ),
    Call(
        "GET",
        f"{_OF_ONE}/channels",
        "The channels of a contact, with their states.",
        {200: Items(Channel)},
        read=channels,
        query=Paged,
        statuses=(308,),
    ),
    Call(
        "GET",
        f"{_OF_ONE}/explain",
        "Why a contact counts in a cycle, or does not: its messages, the proof first.",
        {200: Items(Explained)},
        read=explained,
        query=ExplainQuery,
        statuses=(308,),
    ),
)
