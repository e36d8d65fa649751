"""The console over all workers, a broker and a database: tests use its pages and calls as people and programs do.

    async def test_…(team: Team) -> None:                        # brings up the console of the module
        await team.workspace.play(team.workspace.message())      # records, each applied before the next
        shown = await team.owner.get("contacts")                 # the page /w/{workspace}/contacts with a session
        done = await team.agent.post("confirm/…", answer="confirm")   # a form with its CSRF token; 303 to the next page
        told = await team.manager.api.get("/workspaces")         # below /api/v1, with a token
        async with team.browser(team.owner) as page: ...         # a Chromium that has the session

Each test has a workspace and people of its own: `owner`, `manager`, `agent`, `operator` (sees all workspaces), and
`outsider`, the owner of another workspace. `team.console.member(…)` makes others. `team.workspace` is described in
tests/acceptance/stage.py; tests/acceptance/scenes.py brings contacts into known states, for example `hold`. Tests of
one module run on one event loop, because the workers and the console live on it.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import httpx
from playwright.async_api import Page

from console.access import Access
from console.pages.forms import csrf_of
from console.person import Person
from console.process import console_postgres, serve
from console.visitor import SESSION_COOKIE
from schemas.actors import Restriction
from schemas.fields import Role
from tests.acceptance.stage import Stage, Workspace, set_stage
from tests.support.brokers import PATIENCE_S, Broker
from tests.support.browsers import page_of_a_browser
from tests.support.databases import HASH_KEY, Databases, console_of
from workers.app.settings import Settings, load_settings
from workers.dev.broker import embedded_broker
from workers.process.health import Health
from workers.process.http_server import listening

_TIMEOUT_S: Final = 30.0


@dataclass(frozen=True)
class Member:
    """A user with a session, and a token of the same rights. `pages` has the session's cookie and follows no redirects;
    `api` has the token, and its addresses begin below `/api/v1`.
    """

    person: Person
    workspace: str
    session: str
    token: str
    pages: httpx.AsyncClient
    api: httpx.AsyncClient

    @property
    def csrf(self) -> str:
        """The token of the person's forms."""
        return csrf_of(self.session)

    async def get(self, path: str, **query: str) -> httpx.Response:
        """A page of the workspace; `path` begins without a slash."""
        return await self.pages.get(self.at(path), params=query or None)

    async def post(self, path: str, **fields: Any) -> httpx.Response:
        """Sends a form of the workspace, with its CSRF token."""
        return await self.pages.post(self.at(path), data={"csrf": self.csrf} | fields)

    def at(self, path: str) -> str:
        """The address of a page of the workspace, without the server."""
        return f"/w/{quote(self.workspace)}/{path}"


class RunningConsole:
    """A console that answers at `url`. `settings` are its own: its login has the rights of a console, and no more."""

    def __init__(self, url: str, settings: Settings, stage: Stage, access: Access, stack: AsyncExitStack) -> None:
        self.url = url
        self.settings = settings
        self.stage = stage
        self.access = access
        self._stack = stack

    async def member(
        self,
        name: str,
        role: Role,
        workspaces: Sequence[str],
        restrictions: Sequence[Restriction] = (),
        *,
        is_operator: bool = False,
        at: str = "",
    ) -> Member:
        """Makes a user and a token. Its pages are those of the workspace `at`, by default the first one it sees."""
        person = Person(name, role, workspaces, restrictions, is_operator)
        await self.access.keep_user(person)
        link, token = await self.access.link(name), await self.access.add_token(person)
        assert link is not None
        assert token is not None
        session = await self.access.by_link(link)
        assert session is not None
        return Member(
            person,
            at or workspaces[0],
            session,
            token,
            await self.client(cookies={SESSION_COOKIE: session}),
            await self.client("/api/v1", headers={"authorization": f"Bearer {token}"}),
        )

    async def client(self, below: str = "", **options: Any) -> httpx.AsyncClient:
        """A client of somebody whom the console does not know; `options` are its arguments."""
        made = httpx.AsyncClient(base_url=f"{self.url}{below}", timeout=_TIMEOUT_S, trust_env=False, **options)
        return await self._stack.enter_async_context(made)


@dataclass(frozen=True)
class Team:
    """A workspace at a running console, and its people."""

    console: RunningConsole
    workspace: Workspace
    owner: Member
    manager: Member
    agent: Member
    operator: Member
    outsider: Member

    @asynccontextmanager
    async def browser(self, member: Member, *, scripted: bool = True) -> AsyncIterator[Page]:
        """A Chromium with the session of a person, on an empty page; see `page_of_a_browser`."""
        async with page_of_a_browser(scripted=scripted) as page:
            cookie: Any = {"name": SESSION_COOKIE, "value": member.session, "url": self.console.url}
            await page.context.add_cookies([cookie])
            yield page


@asynccontextmanager
async def running_console(databases: Databases, **settings: Any) -> AsyncIterator[RunningConsole]:
    """All workers and the console, on an embedded broker and a database of their own; stopped at the end."""
    async with AsyncExitStack() as stack:
        broker = Broker("embedded", stack.enter_context(embedded_broker()))
        database = await stack.enter_async_context(databases.migrated())
        stage = await stack.enter_async_context(set_stage(broker, database))
        told = load_settings(
            database_url=await console_of(database), kafka_bootstrap=broker.bootstrap, hash_key=HASH_KEY, **settings
        )
        yield await stack.enter_async_context(served(told, stage))


@asynccontextmanager
async def beside(console: RunningConsole, **settings: Any) -> AsyncIterator[RunningConsole]:
    """Another console on the same servers, with other settings."""
    told = console.settings.model_copy(update=settings)
    async with served(told, console.stage) as other:
        yield other


@asynccontextmanager
async def served(settings: Settings, stage: Stage) -> AsyncIterator[RunningConsole]:
    """A console with these settings, over the workers of a stage."""
    sock = listening("127.0.0.1", 0)
    stop, ready = asyncio.Event(), asyncio.Event()
    serving = asyncio.create_task(serve(settings, sock, stop, Health(ready.set)))
    database = console_postgres(settings)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(database.stop)
        try:
            answering = asyncio.create_task(ready.wait())
            await asyncio.wait({serving, answering}, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
            answering.cancel()
            if serving.done():
                await serving
            assert ready.is_set(), "the console did not begin to answer"
            url = f"http://127.0.0.1:{sock.getsockname()[1]}"
            yield RunningConsole(url, settings, stage, Access(database), stack)
        finally:
            stop.set()
            await serving


@asynccontextmanager
async def team_of(console: RunningConsole) -> AsyncIterator[Team]:
    """A new workspace and its people."""
    id_ = f"w-{uuid.uuid4().hex[:12]}"
    workspace = Workspace(console.stage, id_)
    await workspace.play(workspace.command("configure_workspace", set={}))
    yield Team(
        console,
        workspace,
        owner=await console.member(f"owner-{id_}", "owner", [id_]),
        manager=await console.member(f"manager-{id_}", "manager", [id_]),
        agent=await console.member(f"agent-{id_}", "agent", [id_]),
        operator=await console.member(f"operator-{id_}", "owner", [], is_operator=True, at=id_),
        outsider=await console.member(f"outsider-{id_}", "owner", [f"other-{id_}"]),
    )
