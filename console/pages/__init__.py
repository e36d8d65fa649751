"""The console: pages that work without scripts. A small script of its own makes them live."""

from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from console.pages import (
    active,
    audit,
    composing,
    confirm,
    contact_deletions,
    contact_export,
    contact_merges,
    contacts,
    conversations,
    conversing,
    dead_letters,
    dropped,
    events,
    login,
    operations,
    profile_settings,
    profiles,
)
from console.pages.page import PageRoute, routes_of
from console.pages.rendering import STATIC, is_current, rendered
from console.parts import Parts
from console.texts import known, text

PAGES: tuple[PageRoute, ...] = (
    *active.PAGES,
    *audit.PAGES,
    *composing.PAGES,
    *confirm.PAGES,
    *contact_deletions.PAGES,
    *contact_export.PAGES,
    *contact_merges.PAGES,
    *contacts.PAGES,
    *conversations.PAGES,
    *conversing.PAGES,
    *dropped.PAGES,
    *events.PAGES,
    *profile_settings.PAGES,
    *profiles.PAGES,
)
OF_OPERATORS: tuple[PageRoute, ...] = (*operations.PAGES, *dead_letters.PAGES)
_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_NAMES = {403: "forbidden", 404: "not_found", 413: "too_large", 429: "too_many", 500: "fault", 503: "away"}


def routes(parts: Parts) -> list[BaseRoute]:
    """The pages, what they consist of, and the way in and out."""
    return [
        Route("/static/{version}/{name}", _static, methods=["GET"]),
        *login.routes(parts),
        *routes_of(parts, PAGES, OF_OPERATORS),
    ]


def problem(_request: Request, error: HTTPException) -> Response:
    """An error as a page."""
    name = _NAMES.get(error.status_code, "not_found")
    title = text(f"errors.{name}_title") if known(f"errors.{name}_title") else error.detail
    is_said = error.detail != HTTPStatus(error.status_code).phrase
    told = error.detail if is_said else text(f"errors.{name}")
    page = rendered("error.html", {"title": title, "told": told})
    return HTMLResponse(page, error.status_code, error.headers)


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if not is_current(request.path_params["version"], name):
        raise HTTPException(404)
    kind = _TYPES[name.rpartition(".")[2]]
    return Response(STATIC[name], media_type=kind, headers={"cache-control": "public, max-age=31536000, immutable"})
