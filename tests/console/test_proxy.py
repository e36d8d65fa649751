"""A proxy that names the user: it is believed, and nobody else is."""

from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from console.access import PROXIED
from console.pages.forms import csrf_of
from console.visitor import SESSION_COOKIE
from tests.acceptance.scenes import hold, standing
from tests.console.running import RunningConsole, Team, beside

HEADER = "X-Forwarded-User"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def behind(console: RunningConsole) -> AsyncIterator[RunningConsole]:
    """A console behind a proxy on this machine."""
    addresses = {"console_proxy_header": HEADER, "console_proxy_addresses": "127.0.0.1"}
    async with beside(console, **addresses) as running:
        yield running


def named(team: Team, **headers: str) -> dict[str, Any]:
    """What the proxy says of the agent."""
    return {"headers": {HEADER: team.agent.person.name} | headers}


async def test_the_named_user_works_without_a_password(behind: RunningConsole, team: Team) -> None:
    send = await hold(team.workspace)
    client = await behind.client(**named(team))
    page = team.agent.at(f"confirm/{send['send_id']}")

    shown = await client.get(page)
    session = client.cookies[SESSION_COOKIE]
    refused = await client.post(page, data={"answer": "reject"})
    done = await client.post(page, data={"answer": "reject", "csrf": csrf_of(session)})

    assert (shown.status_code, refused.status_code, done.status_code) == (200, 403, 303)
    assert session.startswith(PROXIED)
    assert "/logout" not in shown.text  # the proxy would sign in again
    assert "/logout" in (await team.agent.get("confirm")).text
    assert client.cookies[SESSION_COOKIE] == session  # one is enough
    assert (await standing(team.workspace, send))[0] == "rejected"
    assert (await client.get("/")).headers["location"] == team.agent.at("confirm")
    assert (await client.get("/login", params={"next": page})).headers["location"] == page


async def test_a_session_by_the_proxy_counts_only_while_it_names_the_user(behind: RunningConsole, team: Team) -> None:
    page = team.agent.at("confirm")
    client = await behind.client(**named(team))
    await client.get(page)
    cookies = {SESSION_COOKIE: client.cookies[SESSION_COOKIE]}

    alone = await behind.client(cookies=cookies)
    other = await behind.client(cookies=cookies, headers={HEADER: team.outsider.person.name})
    past = await team.console.client(cookies=cookies, **named(team))

    assert (await alone.get(page)).headers["location"].startswith("/login")
    assert (await other.get(page)).status_code == 404  # a page of the agent, who is not named
    assert (await past.get(page)).headers["location"].startswith("/login")


async def test_a_session_by_password_does_not_count_where_the_proxy_names_another(
    behind: RunningConsole, team: Team
) -> None:
    client = await behind.client(cookies={SESSION_COOKIE: team.owner.session}, **named(team))

    shown = await client.get(team.agent.at("confirm"))

    assert team.agent.person.name in shown.text
    assert team.owner.person.name not in shown.text


async def test_nobody_else_may_name_a_user(team: Team) -> None:
    async with beside(team.console, console_proxy_header=HEADER, console_proxy_addresses="192.0.2.0/24") as elsewhere:
        client = await elsewhere.client(**named(team, **{"X-Forwarded-For": "192.0.2.1"}))
        assert (await client.get(team.agent.at("confirm"))).headers["location"].startswith("/login")
        assert (await client.get("/")).headers["location"] == "/login"


async def test_an_unknown_or_disabled_user_is_refused(behind: RunningConsole, team: Team) -> None:
    unknown = await behind.client(headers={HEADER: "nobody"})
    answer = await unknown.get(team.agent.at("confirm"))
    assert (answer.status_code, "does not exist here" in answer.text) == (403, True)

    client = await behind.client(**named(team))
    assert (await client.get(team.agent.at("confirm"))).status_code == 200
    await team.console.access.disable(team.agent.person.name)
    assert (await client.get(team.agent.at("confirm"))).status_code == 403


async def test_behind_tls_every_cookie_is_for_tls_only(behind: RunningConsole, team: Team) -> None:
    client = await behind.client(**named(team, **{"X-Forwarded-Proto": "https"}))
    direct = await team.console.client(headers={"X-Forwarded-Proto": "https"})

    secure = await client.get(team.agent.at("confirm"))
    in_clear = await direct.get("/login")

    assert "secure" in secure.headers["set-cookie"].lower()
    assert "secure" not in in_clear.headers["set-cookie"].lower()


async def test_the_api_needs_a_token_also_behind_the_proxy(behind: RunningConsole, team: Team) -> None:
    client = await behind.client("/api/v1", **named(team))

    assert (await client.get("/workspaces")).status_code in {401, 404}
