"""The way in and out of the console."""

from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from console.access import SESSION
from console.pages.page import SESSION_COOKIE
from console.pages.rendering import rendered
from console.parts import Parts
from console.reading import frame
from console.texts import text


def routes(parts: Parts) -> list[Route]:
    """Sign in, by password or by a link that works once, and sign out."""

    async def first(request: Request) -> Response:
        person = await parts.access.of_session(request.cookies.get(SESSION_COOKIE, ""))
        if person is None:
            return RedirectResponse("/login", 303)
        async with parts.postgres.snapshot() as connection:
            workspaces = await frame.workspaces(connection, person)
        if not workspaces:
            raise HTTPException(404)
        return RedirectResponse(f"/w/{quote(workspaces[0])}/confirm", 303)

    async def shown(_request: Request) -> Response:
        return HTMLResponse(rendered("login.html", {"told": None}))

    async def by_link(request: Request) -> Response:
        session = await parts.access.by_link(request.path_params["link"])
        if session is None:
            return HTMLResponse(rendered("login.html", {"told": text("login.link_used")}), 403)
        return _signed_in(request, session)

    return [
        Route("/", first, methods=["GET"]),
        Route("/login", shown, methods=["GET"]),
        Route("/login/{link}", by_link, methods=["GET"]),
    ]


def _signed_in(request: Request, session: str) -> Response:
    answer = RedirectResponse("/", 303)
    answer.set_cookie(
        SESSION_COOKIE,
        session,
        max_age=int(SESSION.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return answer
