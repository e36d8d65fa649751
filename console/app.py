"""The application: the API under `/api/v1`, the console under `/`, and nothing else."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Router

from console import api, pages
from console.asking import UNANSWERED
from console.bounds import AnswerHeaders, Bounds, set_headers
from console.faults import Faults
from console.parts import Parts
from workers.process.request_metrics import RequestMetrics

API: Final = "/api/"


def application(parts: Parts) -> Starlette:
    """The application for a server."""
    routes: Sequence[BaseRoute] = [Mount("/api/v1", routes=api.routes(parts)), *pages.routes(parts)]
    # Inside of what turns exceptions into answers.
    bounded = Bounds(Router(routes, redirect_slashes=False))
    handlers: dict[type[Exception], Callable[[Request, Any], Response]] = {HTTPException: _refused}
    handlers |= dict.fromkeys(UNANSWERED, _away) | {Exception: _failed}
    return Starlette(
        routes=[Mount("", app=bounded)],
        middleware=[
            Middleware(RequestMetrics, server="console", routes=routes),
            Middleware(AnswerHeaders),
            Middleware(Faults),
        ],
        exception_handlers=handlers,
    )


def _refused(request: Request, error: HTTPException) -> Response:
    told = api.problem if request.scope["path"].startswith(API) else pages.problem
    return told(request, error)


def _away(request: Request, _error: Exception) -> Response:
    return _refused(request, HTTPException(503))


def _failed(request: Request, _error: Exception) -> Response:
    """A fault, which the server logs."""
    answer = _refused(request, HTTPException(500))
    set_headers(answer.headers)
    return answer
