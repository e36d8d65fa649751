"""Pages that do not exist for everybody."""

from starlette.exceptions import HTTPException
from starlette.responses import Response

from console.pages.page import Handler, PageRequest


def for_managers(handler: Handler) -> Handler:
    """A page of owners and managers: for an agent there is none."""

    async def guarded(page: PageRequest) -> Response:
        if page.person.role == "agent":
            raise HTTPException(404)
        return await handler(page)

    return guarded
