"""The JSON API."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from console.parts import Parts


def routes(_parts: Parts) -> list[BaseRoute]:
    """The calls of the API."""
    return []


def problem(_request: Request, error: HTTPException) -> Response:
    """An error as RFC 9457 has it."""
    document = {"type": "about:blank", "title": error.detail, "status": error.status_code}
    return JSONResponse(document, error.status_code, media_type="application/problem+json")
