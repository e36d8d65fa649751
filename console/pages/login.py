"""The way in and out of the console."""

import secrets
from typing import Final
from urllib.parse import quote, urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from console.pages.forms import csrf_of, form_of, is_form_of
from console.pages.page import NOTICE_COOKIE
from console.pages.rendering import rendered
from console.parts import Parts
from console.reading import frame
from console.texts import text
from console.visitor import SESSION_COOKIE, keep_cookie, keep_session, visitor

_LOGIN_COOKIE: Final = "sluice_login"
_LOGIN_S: Final = 3_600
_LONGEST_NEXT: Final = 2_000


def routes(parts: Parts) -> list[Route]:
    """Sign in, by password or by a link that works once, and sign out; the first page, and that of a workspace."""

    async def first(request: Request) -> Response:
        found = await visitor(parts, request)
        if found is None:
            return RedirectResponse("/login", 303)
        async with parts.postgres.snapshot() as connection:
            workspaces = await frame.workspaces(connection, found.person) or found.person.workspaces
        if not workspaces:
            raise HTTPException(404, text("login.no_workspace"))
        answer = RedirectResponse(_home(workspaces[0]), 303)
        if found.is_new:
            keep_session(answer, parts, request, found.session)
        return answer

    async def workspace(request: Request) -> Response:
        found = await visitor(parts, request)
        asked = request.query_params.get("workspace", "")
        if found is None:
            return RedirectResponse("/login", 303)
        if not found.person.sees(asked):
            raise HTTPException(404)
        return RedirectResponse(_home(asked), 303)

    async def by_link(request: Request) -> Response:
        if request.method == "HEAD":
            return Response()  # a program that looks whether a link leads anywhere must not use it up
        session = await parts.access.by_link(request.path_params["link"])
        if session is None:
            return _form(parts, request, "/", text("login.link_used"), 403)
        return await _signed_in(parts, request, session, "/")

    async def out(request: Request) -> Response:
        session = request.cookies.get(SESSION_COOKIE, "")
        form = await form_of(request)
        if not is_form_of(session, form):
            raise HTTPException(403, text("errors.stale"))
        await parts.access.end(session)
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(SESSION_COOKIE)
        answer.delete_cookie(NOTICE_COOKIE)
        return answer

    return [
        Route("/", first, methods=["GET"]),
        Route("/workspace", workspace, methods=["GET"]),
        *_login_routes(parts),
        Route("/login/{link}", by_link, methods=["GET"]),
        Route("/logout", out, methods=["POST"]),
    ]


def _login_routes(parts: Parts) -> list[Route]:
    async def shown(request: Request) -> Response:
        after = own_path(request.query_params.get("next", "/"))
        found = await visitor(parts, request)
        if found is not None:
            answer = RedirectResponse(after, 303)
            if found.is_new:
                keep_session(answer, parts, request, found.session)
            return answer
        return _form(parts, request, after)

    async def by_password(request: Request) -> Response:
        form = await form_of(request)
        name, password, after = (str(form.get(field, "")) for field in ("name", "password", "next"))
        after = own_path(after)
        # Nobody has a session yet, so SameSite alone would not keep another page from signing its reader in as
        # somebody else: the form must have what only this site's cookie gives.
        cookie = request.cookies.get(_LOGIN_COOKIE, "")
        if not is_form_of(cookie, form):
            return _form(parts, request, after, text("login.stale"), 403)
        try:
            session = await parts.logins.begun(name, password, parts.proxy.address(request))
        except HTTPException as error:
            seconds = int((error.headers or {})["retry-after"])
            answer = _form(parts, request, after, text("login.slower", count=seconds), error.status_code)
            answer.headers["retry-after"] = str(seconds)
            return answer
        if session is None:
            return _form(parts, request, after, text("login.failed"), 403)
        return await _signed_in(parts, request, session, after)

    return [Route("/login", shown, methods=["GET"]), Route("/login", by_password, methods=["POST"])]


def own_path(asked: str) -> str:
    """Where to go after the login: a page of this site, and the first page instead of anything else."""
    parsed = urlsplit(asked)
    is_own = asked.startswith("/") and not (parsed.scheme or parsed.netloc or asked.startswith("//"))
    # Browsers take a backslash for a slash, and leave out tabs and line breaks.
    is_plain = asked.isascii() and asked.isprintable() and "\\" not in asked and len(asked) <= _LONGEST_NEXT
    leads_back = parsed.path.startswith(("/login", "/logout"))
    return asked if is_own and is_plain and not leads_back else "/"


def _home(workspace: str) -> str:
    return f"/w/{quote(workspace)}/confirm"


def _form(parts: Parts, request: Request, after: str, told: str | None = None, status: int = 200) -> Response:
    cookie = request.cookies.get(_LOGIN_COOKIE) or secrets.token_urlsafe(32)
    context = {"told": told, "next": after, "csrf": csrf_of(cookie)}
    answer = HTMLResponse(rendered("login.html", context), status)
    keep_cookie(answer, parts, request, _LOGIN_COOKIE, cookie, _LOGIN_S)
    return answer


async def _signed_in(parts: Parts, request: Request, session: str, after: str) -> Response:
    # A session that somebody else may have put there must not be the one that is signed in.
    await parts.access.end(request.cookies.get(SESSION_COOKIE, ""))
    answer = RedirectResponse(after, 303)
    keep_session(answer, parts, request, session)
    answer.delete_cookie(_LOGIN_COOKIE)
    return answer
