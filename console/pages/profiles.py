"""Profiles: list and search, one profile with its notes, contacts and moments."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from console import written
from console.pages import fields
from console.pages.answers import given
from console.pages.page import Notice, PageRequest, PageRoute
from console.pages.profile_changes import ACTS, back, here, place_of, profile_at, profile_id_of
from console.pages.telling import refusal, told
from console.reading import contacts, naming, people, profiles, settings
from console.reading.paging import DEFAULT, MOST, Rows
from console.texts import text

_FOUND: Final = 10
_OWN: Final = ("name",)
_VIEWS: Final = ("details", "moments", "attachments")


async def listed(page: PageRequest) -> Response:
    """The profiles that the address asks for."""
    async with page.parts.postgres.snapshot() as connection:
        rows = await _rows(page, connection)
        ids = [company for one in rows.items for company in one["companies"]]
        companies = await naming.companies(connection, page.workspace, ids)
        return await page.render(connection, "profiles", rows=rows, companies=companies, **_around(page))


async def shown(page: PageRequest) -> Response:
    """A profile."""
    if not page.request.path_params.get("profile_id") and page.query("id") is None:
        return page.to("profiles")
    async with page.parts.postgres.snapshot() as connection:
        return await _detail(page, connection, None)


async def changed(page: PageRequest) -> Response:
    """Changes a profile; what is changed stands in the field `act`."""
    if page.form.get("act") == "edit":
        return await _edit(page)
    act = ACTS.get(str(page.form.get("act")))
    if act is None:
        raise HTTPException(400)
    return await act(page)


async def _edit(page: PageRequest) -> Response:
    async with page.parts.postgres.snapshot() as connection:
        known = await people.fields(connection, page.workspace, "profile")
        changes = fields.changed(page.form, known)
        wrong = fields.misfits(page.workspace, "profile", changes, known, None)
        if wrong:
            return await _detail(page, connection, wrong)
    if not changes:
        return back(page, Notice("done", text("profiles.nothing_changed")))
    answer = await given(page, "update_profile", "profiles", {"profile_id": profile_id_of(page), "set": changes})
    if answer is not None and not answer.is_done:
        async with page.parts.postgres.snapshot() as connection:
            return await _detail(page, connection, {"": refusal(answer)})
    return back(page, told(answer, text("profiles.saved")))


async def _detail(page: PageRequest, connection: Any, errors: Mapping[str, str] | None) -> Response:
    w, profile_id = page.workspace, profile_id_of(page)
    profile = await profiles.profile(connection, w, profile_id)
    if profile is None:
        raise HTTPException(404)
    view = page.query("view") or "details"
    if view not in _VIEWS:
        raise HTTPException(404)
    known = await people.fields(connection, w, "profile")
    shown_fields = fields.fields_of(profile, _OWN, profile["fields"], known)
    if errors is not None:
        shown_fields = fields.typed(shown_fields, page.form, errors)
    configured = await settings.configured(connection, w)
    moments = Rows((), None)
    if view != "details":
        limit = DEFAULT if view == "moments" else MOST
        moments = await profiles.moments(connection, w, profile_id, limit, page.query("before"))
    attach = page.query("attach")
    attached = await people.contacts_of(connection, w, profile_id)
    written_by = [row["contact_id"] for row in moments.items]
    return await page.render(
        connection,
        "profiles",
        template="profile",
        profile=profile,
        here_at=here(page),
        view=view,
        fields=shown_fields,
        failed=(errors or {}).get(""),
        notes=_notes(profile),
        reasons=reasons(profile, configured),
        statuses=configured["statuses"],
        companies=configured["companies"],
        attached=attached[: people.MOST],
        has_more=len(attached) > people.MOST,
        found=await contacts.found(connection, w, attach, _FOUND, None) if attach else None,
        attach=attach or "",
        moments=moments._replace(items=[_moment(row) for row in moments.items]),
        names=await naming.names(connection, w, written_by),
        rows=await _rows(page, connection),
        **_around(page),
    )


def reasons(profile: Mapping[str, Any], configured: Mapping[str, Any]) -> Sequence[str]:
    """What protects a profile, in words."""
    told_ones = []
    if "status_protected" in profile["reasons"]:
        told_ones.append(text("profiles.status_protects", status=profile["status"]))
    protecting = {one["company_id"]: one["name"] for one in configured["companies"] if one["protected"]}
    named = [protecting[one] for one in profile["companies"] if one in protecting]
    told_ones += [text("profiles.company_protects", company=name) for name in named]
    if "company_protected" in profile["reasons"] and not named:
        told_ones.append(text("profiles.some_company_protects"))
    if "protection_unknown" in profile["reasons"]:
        told_ones.append(text("profiles.protection_unknown"))
    return told_ones


def _moment(row: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**row, "content": written.shown(row["content"])}


def _notes(profile: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The notes, the newest on top."""
    times = ("created_at", "edited_at")
    return [
        note | {name: datetime.fromisoformat(note[name]) for name in times if note[name]}
        for note in reversed(profile["notes"])
    ]


async def _rows(page: PageRequest, connection: Any) -> Rows:
    q, cursor = page.query("q"), page.query("cursor")
    if q:
        return await profiles.found(connection, page.workspace, q, DEFAULT, cursor)
    return await profiles.by_name(connection, page.workspace, DEFAULT, cursor)


def _around(page: PageRequest) -> dict[str, Any]:
    may = {
        "delete_profile": page.person.may("delete_profile", "profiles"),
        "see_contacts": page.person.role != "agent",
    }
    return {
        "profile_at": partial(profile_at, page),
        "q": page.query("q") or "",
        "cursor": page.query("cursor") or "",
        "may": may,
    }


async def new(page: PageRequest) -> Response:
    """A form for a new profile."""
    return await _form(page, None)


async def _form(page: PageRequest, failed: str | None) -> Response:
    async with page.parts.postgres.snapshot() as connection:
        name = str(page.form.get("name", page.query("name") or ""))
        return await page.render(connection, "profiles", template="profile_new", failed=failed, name=name)


async def create(page: PageRequest) -> Response:
    """Makes a profile. Two may have one name."""
    name = str(page.form.get("name", "")).strip()
    if not name:
        return await _form(page, text("expected.name"))
    answer = await given(page, "create_profile", "profiles", {"name": name})
    if answer is None:
        return page.to("profiles", told(answer, ""))
    if not answer.is_done:
        return await _form(page, refusal(answer))
    path, parameters = place_of(str(answer.changed["profile_id"]))
    return page.to(path, Notice("done", text("profiles.created")), **parameters)


PAGES: Final = (
    PageRoute("profiles", listed),
    PageRoute("profiles/new", new),
    PageRoute("profiles/new", create, "POST"),
    PageRoute("profile", shown),
    PageRoute("profile", changed, "POST"),
    PageRoute("profiles/{profile_id}", shown),
    PageRoute("profiles/{profile_id}", changed, "POST"),
)
