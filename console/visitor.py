"""Who asks for a page: by the cookie of a session, or by a trusted proxy that names the user."""

from typing import Final, NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from console.access import PROXIED, SESSION, digest
from console.parts import Parts
from console.person import Person
from console.texts import text

SESSION_COOKIE: Final = "sluice_session"


class Visitor(NamedTuple):
    """A user with a session. `is_new`: the browser does not have it yet."""

    person: Person
    session: str
    is_new: bool = False


async def visitor(parts: Parts, request: Request) -> Visitor | None:
    """Who asks; None if nobody is signed in. Where the proxy names a user, only a session of this user counts; a
    session that came so counts only then.

    Raises:
        HTTPException: 403, the proxy names a user that does not exist; 429, too many requests.
    """
    session, named = request.cookies.get(SESSION_COOKIE, ""), parts.proxy.user(request)
    if session and (named is not None) == session.startswith(PROXIED):
        person = await parts.access.of_session(session)
        if person is not None and named in {None, person.name}:
            parts.rates.take(digest(session))
            return Visitor(person, session)
    if named is None:
        return None
    parts.rates.take(digest(f"proxy {named}"))
    found = await parts.access.by_proxy(named)
    if found is None:
        raise HTTPException(403, text("errors.unknown_user"))
    return Visitor(*found, is_new=True)


def keep_session(answer: Response, parts: Parts, request: Request, session: str) -> None:
    """Gives the browser the cookie of a session."""
    keep_cookie(answer, parts, request, SESSION_COOKIE, session, int(SESSION.total_seconds()))


def keep_cookie(answer: Response, parts: Parts, request: Request, name: str, value: str, seconds: int) -> None:
    """Sets a cookie that no script reads, that forms of other pages do not bring, and, behind TLS, that only TLS
    carries.
    """
    answer.set_cookie(
        name, value, max_age=seconds, httponly=True, samesite="lax", secure=parts.proxy.is_secure(request)
    )
