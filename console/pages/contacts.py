"""Contacts: search, lists, one contact with everything that can be changed. For owners and managers."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from console.pages import fields
from console.pages.answers import Question, ask, given, is_sure
from console.pages.dropped import counting, why
from console.pages.guarding import for_managers
from console.pages.page import Handler, Notice, PageRequest, PageRoute
from console.pages.profile_changes import profile_at
from console.pages.telling import refusal, told
from console.reading import contacts, histories, naming, people, profiles, settings
from console.reading.paging import DEFAULT, Rows
from console.texts import text
from schemas.fields import CHANNEL_SCOPED

_LISTED: Final = ("q", "tag", "blocked", "cursor")
_DROPS: Final = 20


async def listed(page: PageRequest) -> Response:
    """The contacts that the address asks for."""
    async with page.parts.postgres.snapshot() as connection:
        rows = await _rows(page, connection)
        tags = await people.tags(connection, page.workspace)
        return await page.render(connection, "contacts", rows=rows, tags=tags, **_around(page))


async def shown(page: PageRequest) -> Response:
    """A contact beside the list that it came from. An old id of a merged contact leads to the survivor."""
    contact_id = page.uuid("contact_id")
    async with page.parts.postgres.snapshot() as connection:
        present = await contacts.present(connection, page.workspace, contact_id)
        if present != contact_id:
            return RedirectResponse(page.at(f"contacts/{present}"), 308)
        return await _detail(page, connection, contact_id)


async def changed(page: PageRequest) -> Response:
    """Changes a contact; what is changed stands in the field `act`."""
    act = _ACTS.get(str(page.form.get("act")))
    if act is None:
        raise HTTPException(400)
    return await act(page)


async def _detail(
    page: PageRequest, connection: Any, contact_id: UUID, errors: Mapping[str, str] | None = None
) -> Response:
    w = page.workspace
    contact = await contacts.contact(connection, w, contact_id)
    if contact is None:
        raise HTTPException(404)
    known = await people.fields(connection, w, "contact")
    shown_fields = fields.fields_of(contact, fields.OWN, contact["custom"], known)
    if errors is not None:
        shown_fields = fields.typed(shown_fields, page.form, errors)
    merges = await people.merges_of(connection, w, contact_id)
    suggestions = await contacts.suggestions_of(connection, w, contact_id, people.MOST)
    others = [one["contact_id"] for one in suggestions]
    profile_id = contact["profile_id"]
    configured = await settings.workspace(connection, w)
    return await page.render(
        connection,
        "contacts",
        template="contact",
        contact=contact,
        fields=shown_fields,
        failed=(errors or {}).get(""),
        why=why,
        counting=counting,
        channels=[
            _channel(row) for row in (await contacts.channels(connection, w, contact_id, people.MOST, None)).items
        ],
        suggestions=suggestions,
        names=await naming.names(connection, w, others),
        merges=merges,
        undo_hours=configured["merge_undo_hours"] if configured else 0,
        drops=await histories.drops_of_contact(connection, w, contact_id, _DROPS, None),
        profile=await profiles.profile(connection, w, profile_id) if profile_id else None,
        profile_at=profile_at(page, profile_id) if profile_id else None,
        tags=await people.tags(connection, w),
        rows=await _rows(page, connection),
        **_around(page),
    )


def _channel(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """`is_theirs`: the row is an address of the contact, and not a channel where it could be written to."""
    is_theirs = row["connected_at"] is not None or row["channel_id"] is None or row["channel"] in CHANNEL_SCOPED
    return {**row, "is_theirs": row["address"] is not None and is_theirs}


async def _rows(page: PageRequest, connection: Any) -> Rows:
    q, tag, blocked, cursor = (page.query(name) for name in _LISTED)
    if q:
        return await contacts.found(connection, page.workspace, q, DEFAULT, cursor)
    if blocked:
        return await contacts.blocked(connection, page.workspace, DEFAULT, cursor)
    if tag:
        return await contacts.with_tag(connection, page.workspace, tag, DEFAULT, cursor)
    return await contacts.by_name(connection, page.workspace, DEFAULT, cursor)


def _around(page: PageRequest) -> dict[str, Any]:
    """What pages of contacts need around the list. `asked`: what the list shows, `suffix` the same for addresses."""
    asked = {name: page.query(name) or "" for name in _LISTED}
    given_ones = urlencode({name: value for name, value in asked.items() if value})
    may = {
        name: page.person.may(name, "contacts")
        for name in ("delete_contacts", "export_contacts", "remove_channel", "merge_contacts")
    }
    return {"asked": asked, "suffix": f"?{given_ones}" if given_ones else "", "may": may}


def _back(page: PageRequest, notice: Notice) -> Response:
    asked = {name: page.query(name) for name in _LISTED}
    return page.to(f"contacts/{page.uuid('contact_id')}", notice, **asked)


def _here(page: PageRequest) -> str:
    return page.at(f"contacts/{page.uuid('contact_id')}")


async def _edit(page: PageRequest) -> Response:
    contact_id = page.uuid("contact_id")
    async with page.parts.postgres.snapshot() as connection:
        known = await people.fields(connection, page.workspace, "contact")
        configured = await settings.workspace(connection, page.workspace)
        changes = fields.changed(page.form, known)
        region = configured["default_region"] if configured else None
        wrong = fields.misfits(page.workspace, "contact", changes, known, region)
        if wrong:
            return await _detail(page, connection, contact_id, wrong)
    if not changes:
        return _back(page, Notice("done", text("contacts.nothing_changed")))
    answer = await given(page, "update_contact", "contacts", {"contact_id": str(contact_id), "set": changes})
    if answer is not None and not answer.is_done:
        async with page.parts.postgres.snapshot() as connection:
            # One of the fields does not fit, and only the worker knows: what was typed stays.
            return await _detail(page, connection, contact_id, {"": refusal(answer)})
    return _back(page, told(answer, text("contacts.saved")))


async def _tag(page: PageRequest) -> Response:
    act, tag = str(page.form.get("act")), str(page.form.get("tag", "")).strip()
    fields_given = {"contact_id": str(page.uuid("contact_id")), "tag": tag}
    answer = await given(page, act, "contacts", fields_given)
    opposite = "remove_tag" if act == "add_tag" else "add_tag"
    undo = (_here(page), [("act", opposite), ("tag", tag)], text("contacts.undo"))
    return _back(page, told(answer, text(f"contacts.{act}_done", tag=tag), undo))


async def _remove_channel(page: PageRequest) -> Response:
    identity = {name: value for name in ("channel", "channel_id", "address") if (value := str(page.form.get(name, "")))}
    address = identity.get("address", "")
    if not is_sure(page):
        question = Question(
            text("contacts.remove_channel_title", address=address),
            [text("contacts.remove_channel_history"), text("contacts.remove_channel_later")],
            text("contacts.remove_channel_button"),
            [("act", "remove_channel"), *identity.items()],
            _here(page),
            destroys=True,
        )
        async with page.parts.postgres.snapshot() as connection:
            return await ask(page, connection, "contacts", question)
    if identity.get("channel") not in CHANNEL_SCOPED:
        identity.pop("channel_id", None)
    asked = {"contact_id": str(page.uuid("contact_id")), "identity": identity}
    answer = await given(page, "remove_channel", "contacts", asked)
    return _back(page, told(answer, text("contacts.remove_channel_done", address=address)))


_ACTS: Final[Mapping[str, Handler]] = {
    "edit": _edit,
    "add_tag": _tag,
    "remove_tag": _tag,
    "remove_channel": _remove_channel,
}


async def new(page: PageRequest) -> Response:
    """A form for a new contact."""
    return await _form(page, None)


async def _form(page: PageRequest, failed: str | None) -> Response:
    async with page.parts.postgres.snapshot() as connection:
        configured = await settings.configured(connection, page.workspace)
        return await page.render(
            connection,
            "contacts",
            template="contact_new",
            scoped=[one for one in configured["channels"] if one["channel"] in CHANNEL_SCOPED],
            typed=page.form,
            failed=failed,
        )


async def create(page: PageRequest) -> Response:
    """Makes a contact of an address that nobody has yet, or leads to the one who has it."""
    channel, _, channel_id = str(page.form.get("channel", "")).partition(":")
    values = {name: str(page.form.get(name, "")).strip() for name in ("address", "first_name", "last_name")}
    identity = {"channel": channel, "address": values["address"]} | ({"channel_id": channel_id} if channel_id else {})
    named = {name: values[name] for name in ("first_name", "last_name") if values[name]}
    tags = _split(str(page.form.get("tags", "")))
    answer = await given(page, "create_contact", "contacts", {"identity": identity, "set": named, "tags": tags})
    if answer is None:
        return page.to("contacts", told(answer, ""))
    if not answer.is_done:
        return await _form(page, refusal(answer))
    made, contact_id = answer.changed.get("created"), answer.changed.get("contact_id")
    notice = Notice("done", text("contacts.created" if made else "contacts.known"))
    return page.to(f"contacts/{contact_id}" if contact_id else "contacts", notice)


def _split(tags: str) -> Sequence[str]:
    return list(dict.fromkeys(tag for one in tags.split(",") if (tag := one.strip())))


PAGES: Final = (
    PageRoute("contacts", for_managers(listed)),
    PageRoute("contacts/new", for_managers(new)),
    PageRoute("contacts/new", for_managers(create), "POST"),
    PageRoute("contacts/{contact_id:uuid}", for_managers(shown)),
    PageRoute("contacts/{contact_id:uuid}", for_managers(changed), "POST"),
)
