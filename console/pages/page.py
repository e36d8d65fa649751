"""One request for a page: who asks, in which workspace, and what can be done with it."""

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import quote, urlencode
from uuid import UUID, uuid4, uuid5

import msgspec
from itsdangerous import BadData, URLSafeSerializer
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from console.access import PROXIED
from console.asking import UNANSWERED, CommandAnswer
from console.pages.forms import csrf_of, form_of, is_form_of
from console.pages.rendering import rendered
from console.parts import Parts
from console.person import Person
from console.reading import frame, settings
from console.reading.paging import BadCursor
from console.texts import text
from console.visitor import keep_cookie, keep_session, visitor
from schemas import limits
from schemas.actors import Module

NOTICE_COOKIE: Final = "sluice_notice"
WAIT_S: Final = 5.0
_SORTED: Final = msgspec.json.Encoder(order="sorted")
_WORKSPACES: Final = "/w/{workspace}/"
_OPERATORS: Final = "/"
T = TypeVar("T")


class Notice(NamedTuple):
    """What is told above the next page. `kind`: `done`, `failed` or `waiting`. `undo`: a form that takes it back, as an
    address and its fields. `command`: the id of the command that is waited for.
    """

    kind: str
    text: str
    undo: Sequence[Any] | None = None
    command: str | None = None


@dataclass(slots=True)
class PageRequest:
    """A request for a page of a person in a workspace. `now`: the database's clock.

    `notice`: what this page tells by itself, without another page that leads here.
    A page of no workspace keeps the one that the person came from in the frame; '' if there is none.
    """

    request: Request
    parts: Parts
    person: Person
    session: str
    workspace: str
    now: datetime
    form: FormData = field(default_factory=FormData)
    notice: Notice | None = None
    after: str = field(init=False)
    given: UUID | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.after = self.parts.events.now  # before the page reads anything

    @property
    def may_sign_out(self) -> bool:
        """Whether that would help: a session by the proxy begins again with the next page."""
        return not self.session.startswith(PROXIED)

    def path(self, name: str) -> str:
        """A part of the path."""
        return str(self.request.path_params[name])

    def uuid(self, name: str) -> UUID:
        """A part of the path that is an id; anything else does not exist."""
        try:
            return UUID(self.path(name))
        except ValueError:
            raise HTTPException(404) from None

    def query(self, name: str) -> str | None:
        """A parameter of the address; None if it is missing or empty."""
        return self.request.query_params.get(name) or None

    def at(self, path: str, **parameters: str | None) -> str:
        """The address of a page of the workspace; `path` begins without a slash. Parameters without a value are left
        out.
        """
        given = urlencode({name: value for name, value in parameters.items() if value})
        return f"/w/{quote(self.workspace)}/{path}{'?' if given else ''}{given}"

    def operations(self, path: str = "", **query: str) -> str:
        """The address of a page of operators; `path` begins with a slash."""
        return f"/operations{path}?{urlencode({'workspace': self.workspace, **query})}"

    async def render(
        self, connection: Any, here: str, status: int = 200, template: str | None = None, **context: Any
    ) -> Response:
        """A page inside the frame. `connection`: of `Postgres.snapshot`. `here`: its place in the navigation, and the
        name of its template unless another one is given.
        """
        notice = self.notice or self._notice()
        workspaces = await frame.workspaces(connection, self.person)
        self.workspace = self.workspace or next(iter(workspaces), "")
        values = {
            "page": self,
            "person": self.person,
            "workspace": self.workspace,
            "workspaces": workspaces,
            "navigation": navigation(self, await frame.waiting(connection, self.person, self.workspace)),
            "here": here,
            "now": self.now,
            "notice": notice,
            "csrf": csrf_of(self.session),
        }
        answer = HTMLResponse(rendered(f"{template or here}.html", values | context), status)
        if notice is not None:
            answer.delete_cookie(NOTICE_COOKIE)
        return answer

    async def give(
        self, command: str, module: Module, fields: Mapping[str, Any], command_id: UUID | None = None
    ) -> CommandAnswer | None:
        """Gives a command as this person, and waits for its answer; None: it is not there yet.

        Raises:
            HTTPException: 403, the person's role does not allow it.
            ValueError: a field does not fit; the text says which.
        """
        if not self.person.may(command, module):
            raise HTTPException(403)
        actor = self.person.actor(module)
        self.given = command_id or self.new_id(command, fields)
        asking = self.parts.asking.command(self.workspace, actor, command, self.given, fields, WAIT_S)
        return await self.answered(self.given, asking)

    async def answered(self, id_: UUID, asking: Awaitable[T]) -> T:
        """The answer to what is asked for with this id.

        Raises:
            HTTPException: 503, a server is away. It may be on its way all the same: the page names its id.
        """
        try:
            return await asking
        except UNANSWERED:
            raise HTTPException(503, text("errors.unanswered", id=id_)) from None

    def new_id(self, asked: str, fields: Mapping[str, Any]) -> UUID:
        """The id of what the form asks for. The same form, sent twice, asks for the same thing."""
        try:
            once = UUID(str(self.form.get("once", "")))
        except ValueError:
            return uuid4()
        return uuid5(once, f"{asked} {_SORTED.encode(fields).decode()}")

    def to(self, path: str, notice: Notice | None = None, **parameters: str | None) -> Response:
        """Leads to another page of the workspace, where the notice is told."""
        return self.led_to(self.at(path, **parameters), notice)

    def led_to(self, address: str, notice: Notice | None = None) -> Response:
        """As `to`, by the whole address of a page, which begins with a slash."""
        answer = RedirectResponse(address, 303)
        if notice is not None:
            if notice.kind == "waiting" and self.given is not None:
                notice = notice._replace(command=str(self.given))
            told = _serializer(self.session).dumps(notice)
            keep_cookie(answer, self.parts, self.request, NOTICE_COOKIE, told, 60)
        return answer

    def _notice(self) -> Notice | None:
        told = self.request.cookies.get(NOTICE_COOKIE)
        if told is None or "x-live" in self.request.headers:  # that one shows parts of a page only
            return None
        try:
            return Notice(*_serializer(self.session).loads(told))
        except (BadData, TypeError):
            return None


def navigation(page: PageRequest, waiting: frame.Waiting) -> list[tuple[str, str, str]]:
    """The pages that the person may open: name, address, and what waits there."""
    operations = ("operations", page.operations(), _counted(waiting.letters))
    if not page.workspace:
        return [operations]
    pages = [
        ("confirm", page.at("confirm"), _counted(waiting.holds)),
        ("conversations", page.at("conversations"), ""),
        ("contacts", page.at("contacts"), ""),
        ("profiles", page.at("profiles"), ""),
        ("dropped", page.at("dropped"), ""),
        ("active", page.at("active"), ""),
        ("audit", page.at("audit"), ""),
        operations,
    ]
    hidden = {"contacts"} if page.person.role == "agent" else set()
    hidden |= set() if page.person.is_operator else {"operations"}
    return [one for one in pages if one[0] not in hidden]


def _counted(number: int) -> str:
    return f"{frame.MOST_COUNTED}+" if number > frame.MOST_COUNTED else str(number or "")


Handler = Callable[[PageRequest], Coroutine[Any, Any, Response]]


class PageRoute(NamedTuple):
    """A page: its path below `/w/{workspace}/`, or below `/` for operators. What changes something has the method
    POST.
    """

    path: str
    handler: Handler
    method: str = "GET"


def routes_of(parts: Parts, of_workspaces: Sequence[PageRoute], of_operators: Sequence[PageRoute] = ()) -> list[Route]:
    """The routes of the pages: for people who are signed in and see the workspace, or are operators; forms must have
    their token.
    """

    def route(page: PageRoute, below: str) -> Route:
        async def endpoint(request: Request) -> Response:
            found = await visitor(parts, request)
            if found is None:
                return RedirectResponse(_login(request), 303)
            asked_for = [*request.path_params.values(), *(value for _, value in request.query_params.multi_items())]
            if "\0" in "".join(map(str, asked_for)):
                raise HTTPException(404)  # no text of PostgreSQL has it
            person, session = found.person, found.session
            named = request.query_params if below == _OPERATORS else request.path_params
            workspace = named.get("workspace", "")
            if not (person.is_operator if below == _OPERATORS else await _sees(parts, person, workspace)):
                raise HTTPException(404)
            asked = PageRequest(request, parts, person, session, workspace, await parts.asking.now())
            if page.method == "POST":
                asked.form = await form_of(request)
                if not is_form_of(session, asked.form):
                    raise HTTPException(403, text("errors.stale"))
            try:
                answer = await page.handler(asked)
            except BadCursor:
                raise HTTPException(404) from None
            if found.is_new:
                keep_session(answer, parts, request, session)
            return answer

        return Route(f"{below}{page.path}", endpoint, methods=[page.method])

    return [route(page, _WORKSPACES) for page in of_workspaces] + [route(page, _OPERATORS) for page in of_operators]


async def _sees(parts: Parts, person: Person, workspace: str) -> bool:
    """Whether the workspace exists for the person. Operators see all, so theirs must have had a record."""
    if workspace in person.workspaces or not person.sees(workspace):
        return person.sees(workspace)
    if len(workspace) > limits.ID:
        return False
    async with parts.postgres.snapshot() as connection:
        return await settings.exists(connection, workspace)


def _login(request: Request) -> str:
    """The login, and after it the page that was asked for."""
    query = request.scope["query_string"].decode("ascii", "replace")
    asked = request.scope["path"] + ("?" if query else "") + query
    return f"/login?next={quote(asked, safe='')}" if request.method == "GET" else "/login"


def _serializer(session: str) -> URLSafeSerializer:
    return URLSafeSerializer(session, salt="notice")
