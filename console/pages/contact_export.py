"""Contacts as a CSV file, the same as `sluice contacts export` writes."""

import csv
from collections.abc import AsyncIterator
from io import StringIO
from typing import Final

from starlette.responses import Response, StreamingResponse

from console.pages.answers import given
from console.pages.guarding import for_managers
from console.pages.page import PageRequest, PageRoute
from console.pages.telling import told
from console.reading import people
from workers.rules import contact_sheet


async def export(page: PageRequest) -> Response:
    """Asks whether the person may, which audits it; then sends the contacts as they are read."""
    tag = str(page.form.get("tag", "")) or None
    about = {} if tag is None else {"filter": {"tag": tag}}
    answer = await given(page, "export_contacts", "contacts", about)
    if answer is None or not answer.is_done:
        return page.to("contacts", told(answer, ""), tag=tag)
    async with page.parts.postgres.snapshot() as connection:
        fields = [*await people.fields(connection, page.workspace, "contact")]
    name = f"contacts-{page.now:%Y-%m-%d}.csv"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(_lines(page, tag, fields), media_type="text/csv; charset=utf-8", headers=headers)


async def _lines(page: PageRequest, tag: str | None, fields: list[str]) -> AsyncIterator[str]:
    # A failure ends the connection: the browser shows that the file is not whole.
    yield _csv([contact_sheet.head(fields)])
    async for rows in people.exported(page.parts.postgres, page.workspace, tag):
        yield _csv([contact_sheet.row(row, fields) for row in rows])


def _csv(rows: list[list[str]]) -> str:
    text = StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue()


PAGES: Final = (PageRoute("contacts/export", for_managers(export), "POST"),)
