"""What happens in a workspace, for the script of its pages."""

from typing import Final

from starlette.responses import Response

from console.events.answering import EventsAnswer
from console.pages import telling
from console.pages.page import PageRequest, PageRoute
from console.texts import text


async def told(page: PageRequest) -> Response:
    """A stream of events."""
    return EventsAnswer(page.request, page.parts.events, page.person, page.workspace, page.session)


async def result(page: PageRequest) -> Response:
    """What became of a command that was on its way."""
    command_id = page.uuid("command_id")
    notice = telling.told(await page.parts.asking.result(page.workspace, command_id), text("results.done"))
    if notice.kind == "waiting":
        notice = notice._replace(command=str(command_id))
    async with page.parts.postgres.snapshot() as connection:
        return await page.render(connection, "results", notice=notice)


PAGES: Final = (PageRoute("events", told), PageRoute("results/{command_id}", result))
