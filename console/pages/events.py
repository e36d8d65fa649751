"""What happens in a workspace, for the script of its pages."""

from typing import Final

from starlette.responses import Response

from console.events.answering import EventsAnswer
from console.pages.page import Notice, PageRequest, PageRoute
from console.texts import known, text


async def told(page: PageRequest) -> Response:
    """A stream of events."""
    return EventsAnswer(page.request, page.parts.events, page.person, page.workspace, page.session)


async def result(page: PageRequest) -> Response:
    """What became of a command that was on its way."""
    command_id = page.uuid("command_id")
    given = await page.parts.asking.result(page.workspace, command_id)
    if given is None:
        notice = Notice("waiting", text("errors.waiting"), command=str(command_id))
    elif given.is_done:
        notice = Notice("done", text("results.done"))
    else:
        known_reason = known(f"refusals.{given.reason}")
        notice = Notice(
            "failed", text(f"refusals.{given.reason}") if known_reason else given.detail or str(given.reason)
        )
    async with page.parts.postgres.snapshot() as connection:
        return await page.render(connection, "results", notice=notice)


PAGES: Final = (PageRoute("events", told), PageRoute("results/{command_id}", result))
