"""What can be done to a profile beside its fields: status, companies, notes, contacts, deletion."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.responses import Response

from console.pages.answers import Question, ask, given, is_sure, touched, uuid_of
from console.pages.page import Handler, Notice, PageRequest
from console.pages.telling import told
from console.reading import people, profiles
from console.texts import text

PAGE_NAMES: Final = ("new", "settings")


def profile_id_of(page: PageRequest) -> str:
    """The profile that the address names."""
    profile_id = page.request.path_params.get("profile_id") or page.query("id")
    if not profile_id:
        raise HTTPException(404)
    return str(profile_id)


def place_of(profile_id: str) -> tuple[str, dict[str, str | None]]:
    """The page of a profile: its path and parameters. An id may be any text; one that a path would change, or that is
    the name of a page, is a parameter.
    """
    if profile_id in PAGE_NAMES or "/" in profile_id or set(profile_id) <= {"."}:
        return "profile", {"id": profile_id}
    return f"profiles/{quote(profile_id, safe='')}", {}


def profile_at(page: PageRequest, profile_id: str, **parameters: str | None) -> str:
    """The address of a profile."""
    path, own = place_of(profile_id)
    return page.at(path, **own, **parameters)


def here(page: PageRequest) -> str:
    """The address of the profile, beside the list that it came from."""
    return profile_at(page, profile_id_of(page), q=page.query("q"), cursor=page.query("cursor"))


def back(page: PageRequest, notice: Notice) -> Response:
    """Leads back to the profile."""
    path, parameters = place_of(profile_id_of(page))
    return page.to(path, notice, **parameters, q=page.query("q"), cursor=page.query("cursor"))


async def _give(page: PageRequest, command: str, done: str, **more: Any) -> Response:
    answer = await given(page, command, "profiles", {"profile_id": profile_id_of(page)} | more)
    return back(page, told(answer, done))


async def _question(page: PageRequest, question: Question) -> Response:
    async with page.parts.postgres.snapshot() as connection:
        return await ask(page, connection, "profiles", question)


async def _protecting(page: PageRequest, command: str, kept: list[tuple[str, str]], **more: Any) -> Response | None:
    """Asks first, if the command protects contacts that are not protected yet."""
    if is_sure(page):
        return None
    async with page.parts.postgres.snapshot() as connection:
        figures = await people.impact(connection, page.workspace, command, profile_id=profile_id_of(page), **more)
        if not figures["contacts"]:
            return None
        title, button = text("profiles.protect_title"), text("profiles.protect_button")
        return await ask(
            page, connection, "profiles", Question(title, touched(figures, "protect"), button, kept, here(page))
        )


async def _set_status(page: PageRequest) -> Response:
    status = str(page.form.get("status", "")) or None
    asked = await _protecting(page, "set_profile_status", [("act", "status"), ("status", status or "")], status=status)
    return asked or await _give(page, "set_profile_status", text("profiles.status_set"), status=status)


async def _set_companies(page: PageRequest) -> Response:
    """What the form did not show stays as it is."""
    shown, ticked = set(map(str, page.form.getlist("shown"))), list(map(str, page.form.getlist("company")))
    async with page.parts.postgres.snapshot() as connection:
        profile = await profiles.profile(connection, page.workspace, profile_id_of(page))
        if profile is None:
            raise HTTPException(404)
    wanted = [*(one for one in profile["companies"] if one not in shown), *ticked]
    kept = [("act", "companies"), *(("shown", one) for one in shown), *(("company", one) for one in ticked)]
    asked = await _protecting(page, "set_profile_companies", kept, company_ids=wanted)
    return asked or await _give(page, "set_profile_companies", text("profiles.companies_set"), company_ids=wanted)


async def _add_note(page: PageRequest) -> Response:
    return await _give(page, "add_note", text("profiles.note_added"), text=_written(page))


async def _edit_note(page: PageRequest) -> Response:
    note_id = str(page.form.get("note_id", ""))
    return await _give(page, "edit_note", text("profiles.note_edited"), note_id=note_id, text=_written(page))


async def _delete_note(page: PageRequest) -> Response:
    note_id = str(page.form.get("note_id", ""))
    if not is_sure(page):
        title, lines = text("profiles.delete_note_title"), [text("profiles.delete_note_line")]
        kept = [("act", "delete_note"), ("note_id", note_id)]
        question = Question(title, lines, text("profiles.delete_note_button"), kept, here(page), destroys=True)
        return await _question(page, question)
    return await _give(page, "delete_note", text("profiles.note_deleted"), note_id=note_id)


async def _attach(page: PageRequest) -> Response:
    contact_id = str(uuid_of(page, "contact_id"))
    kept = [("act", "attach"), ("contact_id", contact_id)]
    asked = await _protecting(page, "attach_contact", kept, contact_id=contact_id)
    if asked:
        return asked
    answer = await given(
        page, "attach_contact", "profiles", {"contact_id": contact_id, "profile_id": profile_id_of(page)}
    )
    undo = (here(page), [("act", "detach"), ("contact_id", contact_id)], text("profiles.undo"))
    return back(page, told(answer, text("profiles.attached_done"), undo))


async def _detach(page: PageRequest) -> Response:
    contact_id = str(uuid_of(page, "contact_id"))
    answer = await given(page, "detach_contact", "profiles", {"contact_id": contact_id})
    undo = (here(page), [("act", "attach"), ("contact_id", contact_id), ("sure", "1")], text("profiles.undo"))
    return back(page, told(answer, text("profiles.detached_done"), undo))


async def _delete(page: PageRequest) -> Response:
    profile_id = profile_id_of(page)
    if not is_sure(page):
        async with page.parts.postgres.snapshot() as connection:
            number = len(await people.contacts_of(connection, page.workspace, profile_id))
        lines = [text("profiles.delete_line")]
        if number:
            many = number > people.MOST
            lines += [text("profiles.delete_contacts_many") if many else text("profiles.delete_contacts", number)]
        title, button = text("profiles.delete_title"), text("profiles.delete_button")
        question = Question(title, lines, button, [("act", "delete")], here(page), destroys=True)
        return await _question(page, question)
    answer = await given(page, "delete_profile", "profiles", {"profile_id": profile_id})
    notice = told(answer, text("profiles.deleted"))
    return page.to("profiles", notice) if answer is not None and answer.is_done else back(page, notice)


def _written(page: PageRequest) -> str:
    return str(page.form.get("text", "")).replace("\r\n", "\n")


ACTS: Final[Mapping[str, Handler]] = {
    "status": _set_status,
    "companies": _set_companies,
    "add_note": _add_note,
    "edit_note": _edit_note,
    "delete_note": _delete_note,
    "attach": _attach,
    "detach": _detach,
    "delete": _delete,
}
