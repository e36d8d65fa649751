"""The JSON API: its calls are a table, of which the routes and the OpenAPI document are made."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from console.api import (
    billing_calls,
    contact_calls,
    event_calls,
    foreseeing_calls,
    giving_calls,
    openapi,
    operating_calls,
    problems,
    reading_calls,
)
from console.api.serving import route
from console.parts import Parts

CALLS: Final = (
    *reading_calls.CALLS,
    *contact_calls.CALLS,
    *billing_calls.CALLS,
    *foreseeing_calls.CALLS,
    *giving_calls.CALLS,
    *event_calls.CALLS,
    *operating_calls.CALLS,
)
problem = problems.answered


def routes(parts: Parts) -> list[BaseRoute]:
    """The calls of the API, and the document that describes them."""
    document = openapi.encoded(CALLS)

    async def described(_request: Request) -> Response:
        return Response(document, media_type="application/json")

    return [Route("/openapi.json", described, methods=["GET"]), *(route(parts, call) for call in CALLS)]
