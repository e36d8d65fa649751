"""What happens in a workspace, for the script of its pages."""

from typing import Final

from starlette.responses import Response

from console.events.answering import EventsAnswer
from console.pages.page import PageRequest, PageRoute


async def told(page: PageRequest) -> Response:
    """A stream of events."""
    return EventsAnswer(page.request, page.parts.events, page.person, page.workspace, page.session)


PAGES: Final = (PageRoute("events", told),)
