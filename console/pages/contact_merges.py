"""Merging contacts: suggestions, a choice for each field, what was merged, and taking it back."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from starlette.exceptions import HTTPException
from starlette.responses import Response

from console.pages import fields
from console.pages.answers import given, touched, uuid_of
from console.pages.guarding import for_managers
from console.pages.page import Notice, PageRequest, PageRoute
from console.pages.telling import refusal, told
from console.reading import contacts, naming, people, settings
from console.reading.paging import DEFAULT
from console.texts import known, text
from schemas.changes import CUSTOM
from schemas.fields import FieldValue
from workers.rules.details import ASSIGNEE
from workers.rules.merging import SAID

_FOUND: Final = 20


class Side(NamedTuple):
    """A field of both contacts. `preset`: whose value stays unless somebody chooses; None: both have the same."""

    key: str
    label: str
    survivor: str
    loser: str
    preset: str | None


async def suggested(page: PageRequest) -> Response:
    """What several contacts share."""
    async with page.parts.postgres.snapshot() as connection:
        rows = await contacts.suggestions(connection, page.workspace, DEFAULT, page.query("cursor"))
        ids = [one for row in rows.items for one in row["contact_ids"]]
        names = await naming.names(connection, page.workspace, ids)
        return await page.render(connection, "contacts", template="contact_suggestions", rows=rows, names=names)


async def compared(page: PageRequest) -> Response:
    """Two contacts beside each other, or a search for the second one."""
    survivor = _id(page.query("survivor"))
    if survivor is None:
        return page.to("contacts/suggestions")
    return await _comparison(page, survivor, _id(page.query("loser")), None)


async def merge(page: PageRequest) -> Response:
    """Merges two contacts as chosen."""
    survivor, loser = uuid_of(page, "survivor"), uuid_of(page, "loser")
    choices = {
        name.removeprefix("choice."): str(value)
        for name, value in page.form.items()
        if name.startswith("choice.") and value != page.form.get(f"preset.{name.removeprefix('choice.')}")
    }
    asked = {"survivor_id": str(survivor), "loser_id": str(loser), "choices": choices}
    answer = await given(page, "merge_contacts", "contacts", asked)
    if answer is not None and not answer.is_done:
        return await _comparison(page, survivor, loser, refusal(answer))
    if answer is None:
        return page.to(f"contacts/{survivor}", told(answer, ""))
    undo = (page.at("contacts/merges"), [("merge_id", str(answer.command_id))], text("contacts.undo"))
    stopped = answer.changed.get("runs_halted", 0)
    done = text("merges.done") + (" " + text("merges.done_runs", stopped) if stopped else "")
    return page.to(f"contacts/{survivor}", told(answer, done, undo))


async def merged(page: PageRequest) -> Response:
    """What was merged, the newest on top."""
    async with page.parts.postgres.snapshot() as connection:
        rows = await contacts.merges(connection, page.workspace, DEFAULT, page.query("cursor"))
        names = await naming.names(
            connection, page.workspace, (row[which] for row in rows.items for which in ("survivor_id", "loser_id"))
        )
        configured = await settings.workspace(connection, page.workspace)
        hours = configured["merge_undo_hours"] if configured else 0
        told_merges = [dict(row) | {"why_not": why_not(page, row, hours)} for row in rows.items]
        return await page.render(
            connection, "contacts", template="contact_merges", merges=told_merges, next=rows.next, names=names
        )


async def undo(page: PageRequest) -> Response:
    """Takes a merge back."""
    answer = await given(page, "undo_merge", "contacts", {"merge_id": str(uuid_of(page, "merge_id"))})
    if answer is not None and answer.reason == "too_late":
        return page.to("contacts/merges", Notice("failed", text("merges.too_late")))
    if answer is not None and answer.reason == "already_final":
        return page.to("contacts/merges", Notice("failed", text("merges.already_final")))
    return page.to("contacts/merges", told(answer, text("merges.undone")))


def why_not(page: PageRequest, merge: Mapping[str, Any], hours: int) -> str | None:
    """Why a merge cannot be taken back, as far as it is known before somebody tries; None: it can."""
    if merge["undone_at"] is not None:
        return text("merges.was_undone")
    if page.now > merge["merged_at"] + timedelta(hours=hours):
        return text("merges.too_late_after", hours)
    return None


def sides(survivor: Mapping[str, Any], loser: Mapping[str, Any]) -> list[Side]:
    """The fields that at least one of two contacts has. The survivor keeps what it has, and gets what it lacks."""
    mine: dict[str, FieldValue] = _values(survivor)
    theirs: dict[str, FieldValue] = _values(loser)
    rows = []
    for key in sorted(mine.keys() | theirs.keys(), key=_place):
        one, other = mine.get(key), theirs.get(key)
        if one is None and other is None:
            continue
        preset = None if one == other else "survivor" if one is not None else "loser"
        label = text(f"fields.{key}") if known(f"fields.{key}") else key.removeprefix(CUSTOM)
        rows.append(Side(key, label, fields.words(one), fields.words(other), preset))
    return rows


def _values(contact: Mapping[str, Any]) -> dict[str, FieldValue]:
    own = {key: contact[key] for key in (*SAID, ASSIGNEE)}
    return own | {CUSTOM + name: value for name, value in contact["custom"].items()}


def _place(key: str) -> tuple[int, str]:
    order = (*SAID, ASSIGNEE)
    return (order.index(key), "") if key in order else (len(order), key)


async def _comparison(page: PageRequest, survivor: UUID, loser: UUID | None, failed: str | None) -> Response:
    w, q = page.workspace, page.query("q")
    async with page.parts.postgres.snapshot() as connection:
        one = await contacts.contact(connection, w, survivor)
        if one is None:
            raise HTTPException(404)
        other = await contacts.contact(connection, w, loser) if loser else None
        context: dict[str, Any] = {"survivor": one, "loser": other, "failed": failed, "q": q or ""}
        if other is None:
            found = await contacts.found(connection, w, q, _FOUND, None) if q else None
            likely = await contacts.suggestions_of(connection, w, one["contact_id"], _FOUND)
            names = await naming.names(connection, w, [row["contact_id"] for row in likely])
            context |= {"found": found, "likely": likely, "names": names}
        else:
            figures = await people.impact(connection, w, "merge_contacts", survivor_id=survivor, loser_id=loser)
            is_blocked = bool(one["blocked"] or other["blocked"])
            context |= {"sides": sides(one, other), "lines": touched(figures, "merge"), "is_blocked": is_blocked}
        template = "contact_merge" if other else "contact_merge_with"
        return await page.render(connection, "contacts", template=template, **context)


def _id(text_of: str | None) -> UUID | None:
    try:
        return UUID(text_of or "")
    except ValueError:
        return None


PAGES: Final = (
    PageRoute("contacts/suggestions", for_managers(suggested)),
    PageRoute("contacts/merge", for_managers(compared)),
    PageRoute("contacts/merge", for_managers(merge), "POST"),
    PageRoute("contacts/merges", for_managers(merged)),
    PageRoute("contacts/merges", for_managers(undo), "POST"),
)
