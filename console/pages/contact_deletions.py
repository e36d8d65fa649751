"""Deleting contacts: a selection or all, with the count to type; and how far the erasing of their history is."""

from typing import Any, Final, NamedTuple
from uuid import UUID

from starlette.exceptions import HTTPException
from starlette.responses import Response

from console.pages.answers import given, touched
from console.pages.guarding import for_managers
from console.pages.page import PageRequest, PageRoute
from console.pages.telling import refusal, told
from console.reading import histories, naming, people
from console.reading.paging import DEFAULT
from console.texts import text

_NAMED: Final = 20


class Selection(NamedTuple):
    """Contacts that somebody chose, or all of the workspace. Those that are not there any more are left out later."""

    ids: list[UUID]
    is_all: bool

    def fields(self) -> dict[str, Any]:
        """As a command has it."""
        return {"all": True} if self.is_all else {"contact_ids": [str(one) for one in self.ids]}


async def chosen(page: PageRequest) -> Response:
    """What would be deleted, and what goes with it."""
    if not page.person.may("delete_contacts", "contacts"):
        raise HTTPException(403)
    return await _question(page, _selection(page.request.query_params), None)


async def delete(page: PageRequest) -> Response:
    """Deletes the contacts, if the count that somebody typed is theirs."""
    selection = _selection(page.form)
    typed = str(page.form.get("expected_count", "")).strip().replace(",", "")
    if not (typed.isascii() and typed.isdecimal() and len(typed) < 10):
        return await _question(page, selection, text("deletions.no_number"))
    answer = await given(page, "delete_contacts", "contacts", selection.fields() | {"expected_count": int(typed)})
    if answer is not None and not answer.is_done:
        return await _question(page, selection, refusal(answer))
    deleted = answer.changed.get("contacts", 0) if answer else 0
    return page.to("contacts/deletions", told(answer, text("deletions.done", deleted)))


async def deletions(page: PageRequest) -> Response:
    """What was deleted, the newest on top, and how much of it is erased."""
    async with page.parts.postgres.snapshot() as connection:
        rows = await histories.deletions(connection, page.workspace, DEFAULT, page.query("cursor"))
        running = any(row["finished_at"] is None for row in rows.items)
        return await page.render(connection, "contacts", template="contact_deletions", rows=rows, running=running)


def _selection(given_in: Any) -> Selection:
    try:
        return Selection([UUID(one) for one in given_in.getlist("contact")], given_in.get("all") == "1")
    except ValueError:
        raise HTTPException(400) from None


async def _question(page: PageRequest, selection: Selection, failed: str | None) -> Response:
    w = page.workspace
    async with page.parts.postgres.snapshot() as connection:
        figures = await people.impact(connection, w, "delete_contacts", **selection.fields())
        number = figures["contacts"]
        if number > people.MOST_FORESEEN:
            number = await people.count_contacts(connection, w)
        names = await naming.names(connection, w, selection.ids[:_NAMED])
        return await page.render(
            connection,
            "contacts",
            template="contact_delete",
            selection=selection,
            number=number,
            names=names,
            lines=touched(figures, "delete"),
            failed=failed,
        )


PAGES: Final = (
    PageRoute("contacts/delete", for_managers(chosen)),
    PageRoute("contacts/delete", for_managers(delete), "POST"),
    PageRoute("contacts/deletions", for_managers(deletions)),
)
