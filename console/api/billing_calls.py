"""Calls about monthly active contacts."""

from typing import Any, Final

from pydantic import Field

from console.api.calls import Answer, Asked, Call, Items, Paged, Query, When
from console.api.rows import Adjustment, Count, Counted
from console.reading import billing
from console.reading.paging import Rows
from workers.rules.chart_svg import svg
from workers.rules.mac_chart import Chart, line

_IN: Final = "/workspaces/{workspace}/mac"
_SVG: Final = "image/svg+xml"


class ChartQuery(Query):
    """`cycle`: where the cycle begins, by default the present one. `before`: how many cycles before it."""

    cycle: When | None = None
    before: int = Field(2, ge=0, le=5)


async def counts(asked: Asked, connection: Any) -> Rows:
    """`GET …/mac`."""
    return await billing.counts(connection, asked.workspace, asked.query.limit, asked.query.cursor)


async def contacts(asked: Asked, connection: Any) -> Rows | None:
    """`GET …/mac/{cycle_start}/contacts`."""
    cycle = asked.workspace, asked.path["cycle_start"]
    if not await billing.has_cycle(connection, *cycle):
        return None
    return await billing.contacts(connection, *cycle, asked.query.limit, asked.query.cursor)


async def adjustments(asked: Asked, connection: Any) -> Rows | None:
    """`GET …/mac/{cycle_start}/adjustments`."""
    cycle = asked.workspace, asked.path["cycle_start"]
    if not await billing.has_cycle(connection, *cycle):
        return None
    return await billing.adjustments(connection, *cycle, asked.query.limit, asked.query.cursor)


async def chart(asked: Asked, connection: Any) -> Answer | None:
    """`GET …/mac/chart.svg`."""
    query: ChartQuery = asked.query
    if query.cycle is not None and not await billing.has_cycle(connection, asked.workspace, query.cycle):
        return None
    days = await billing.days(connection, asked.workspace, query.cycle, query.before + 1)
    if not days.cycles:
        return None
    zones = [days.zones.get(row["cycle_start"], "UTC") for row in days.cycles]
    lines = [
        line(row, days.active[row["cycle_start"]], zone, days.now) for row, zone in zip(days.cycles, zones, strict=True)
    ]
    picture = svg(Chart(asked.workspace, zones[0], lines))
    return Answer(picture.encode(), media_type=_SVG)


CALLS: Final = (
    Call("GET", _IN, "The count of each cycle, the newest first.", {200: Items(Count)}, read=counts, query=Paged),
    Call(
        "GET",
        f"{_IN}/chart.svg",
        "A picture of how many contacts became active until each day; 404 while there is no cycle.",
        {200: _SVG},
        read=chart,
        query=ChartQuery,
    ),
    Call(
        "GET",
        f"{_IN}/{{cycle_start}}/contacts",
        "The contacts that count in a cycle, those that were counted last first.",
        {200: Items(Counted)},
        read=contacts,
        query=Paged,
    ),
    Call(
        "GET",
        f"{_IN}/{{cycle_start}}/adjustments",
        "What changed the count of a closed cycle, the first first.",
        {200: Items(Adjustment)},
        read=adjustments,
        query=Paged,
    ),
)
