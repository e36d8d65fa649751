"""Monthly active contacts: a cycle day by day against those before it, who counts in it, and why."""

import csv
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, datetime
from io import StringIO
from typing import Any, Final
from urllib.parse import urlencode

from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse

from console.moments import moment
from console.pages.answers import given
from console.pages.cycle_words import cause, sentence, sentences
from console.pages.page import PageRequest, PageRoute
from console.pages.telling import told
from console.reading import billing, cycles, naming
from console.reading.paging import DEFAULT, MOST
from console.texts import text
from workers.rules import chart_svg
from workers.rules.mac_chart import Chart, line
from workers.rules.mac_sheet import COLUMNS, CycleName, adjustment_row, cells, contact_row
from workers.rules.wording import time_text

_BEFORE: Final = 3  # cycles, to compare with
_CYCLES: Final = 36  # to choose from
_CLOSE: Final = "close_cycle"


async def shown(page: PageRequest) -> Response:
    """A cycle: the one that is asked for, or the present one."""
    async with page.parts.postgres.snapshot() as connection:
        known_cycles = await cycles.cycles(connection, page.workspace, _CYCLES)
        if not known_cycles:
            return await page.render(connection, "active", template="active_none")
        start = cycle_of(page) or known_cycles[0]["cycle_start"]
        cycle = await cycles.cycle(connection, page.workspace, start)
        if cycle is None:
            raise HTTPException(404)
        days = await billing.days(connection, page.workspace, start, _BEFORE + 1)
        zones = [days.zones.get(row["cycle_start"], "UTC") for row in days.cycles]
        lines = [
            line(row, days.active[row["cycle_start"]], zone, days.now)
            for row, zone in zip(days.cycles, zones, strict=True)
        ]
        counted = await billing.contacts(connection, page.workspace, start, DEFAULT, page.query("cursor"))
        adjusted = await billing.adjustments(connection, page.workspace, start, MOST, None)
        names = await naming.names(
            connection, page.workspace, (one["contact_id"] for one in (*counted.items, *adjusted.items))
        )
        return await page.render(
            connection,
            "active",
            cycle=cycle,
            start=start,
            cycles=known_cycles,
            last_active=next((one for one in known_cycles if one["active_contacts"]), None),
            sentences=sentences(cycle, page.now),
            chart=drawing(Chart(page.workspace, zones[0], lines)),
            lines=lines,
            counted=counted,
            adjusted=adjusted,
            names=names,
            cause=cause,
            asked=asked,
            may_close=bool(cycle.delays) and page.person.may(_CLOSE, "settings"),
        )


async def explained(page: PageRequest) -> Response:
    """Why a contact counts in a cycle, or does not."""
    contact, start = page.uuid("contact_id"), cycle_of(page)
    async with page.parts.postgres.snapshot() as connection:
        start = start or await billing.present_cycle(connection, page.workspace)
        if start is None:
            raise HTTPException(404)
        rows = await billing.explained(connection, page.workspace, start, contact, MOST, None)
        if not rows.items:
            raise HTTPException(404)
        first = rows.items[0]
        counted_as = first["counted_as"]
        return await page.render(
            connection,
            "active",
            template="active_contact",
            start=start,
            contact=contact,
            first=first,
            names=await naming.names(connection, page.workspace, [contact, counted_as]),
            messages=[row for row in rows.items if row["message_id"] is not None],
            more=rows.next is not None,
            adjusted=await cycles.adjustments_of_contact(connection, page.workspace, start, counted_as),
            cause=cause,
            asked=asked,
            sentence=sentence,
        )


async def export(page: PageRequest) -> Response:
    """Who counts in a cycle, and its adjustments: the file of `sluice mac export --format csv`."""
    start = cycle_of(page)
    async with page.parts.postgres.snapshot() as connection:
        if start is None or await cycles.cycle(connection, page.workspace, start) is None:
            raise HTTPException(404)
    name = f"mac-{start.astimezone(UTC):%Y-%m-%d}.csv"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    rows = _exported(page, CycleName(page.workspace, start))
    return StreamingResponse(rows, media_type="text/csv; charset=utf-8", headers=headers)


async def close(page: PageRequest) -> Response:
    """Closes a cycle that a partition holds open."""
    reason = str(page.form.get("reason", "")).strip()
    try:
        start = moment(str(page.form.get("cycle_start", "")))
    except ValueError:
        raise HTTPException(400) from None
    if not reason:
        raise HTTPException(400)
    answer = await given(page, _CLOSE, "settings", {"cycle_start": start.isoformat(), "reason": reason})
    return page.to(f"active?{asked(start)}", told(answer, text("active.closed_by_command")))


async def _exported(page: PageRequest, of: CycleName) -> AsyncIterator[str]:
    # A failure ends the connection, so that nobody takes a part for the whole.
    yield _csv([COLUMNS])
    postgres = page.parts.postgres
    async for rows in cycles.contacts(postgres, of.workspace_id, of.cycle_start):
        yield _csv(cells(contact_row(of, row)) for row in rows)
    async for rows in cycles.adjustments(postgres, of.workspace_id, of.cycle_start):
        yield _csv(cells(adjustment_row(of, row)) for row in rows)


def _csv(rows: Iterable[Sequence[Any]]) -> str:
    lines = StringIO(newline="")
    csv.writer(lines, lineterminator="\n").writerows(rows)
    return lines.getvalue()


def cycle_of(page: PageRequest) -> datetime | None:
    """The cycle that the address names; None: it names none.

    Raises:
        HTTPException: 404, it names something else.
    """
    named = page.query("cycle")
    try:
        return None if named is None else moment(named)
    except ValueError:
        raise HTTPException(404) from None


def asked(start: datetime) -> str:
    """A cycle in an address."""
    return urlencode({"cycle": time_text(start).replace(" ", "T")})


def drawing(chart: Chart) -> Markup:
    """The chart, as a part of a page."""
    return Markup(chart_svg.svg(chart))  # noqa: S704 - it escapes what it is given


PAGES: Final = (
    PageRoute("active", shown),
    PageRoute("active/export.csv", export),
    PageRoute("active/close", close, "POST"),
    PageRoute("active/{contact_id}", explained),
)
