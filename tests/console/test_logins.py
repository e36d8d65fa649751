"""Logins: what signs a person in and out, for how long, and what slows down those who guess."""

import asyncio
import re
import time
from typing import Any
from urllib.parse import quote

import httpx
import pytest_asyncio

from console import passwords
from console.access import digest
from console.visitor import SESSION_COOKIE
from tests.acceptance.scenes import hold
from tests.console.running import Member, RunningConsole, Team, beside

PASSWORD = "correct horse"  # noqa: S105 - nobody's
WRONG = "wrong horses"


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def _nobody_failed(console: RunningConsole) -> None:
    await console.stage.pool.execute("DELETE FROM sluice_console.failed_logins")


async def with_password(console: RunningConsole, member: Member) -> str:
    """Gives the member a password; returns its name. Its sessions end."""
    assert await console.access.set_password(member.person.name, passwords.hashed(PASSWORD))
    return member.person.name


async def sign_in(
    client: httpx.AsyncClient, name: str, password: str = PASSWORD, after: str = "/", **options: Any
) -> httpx.Response:
    """Sends the login form as it is shown."""
    shown = await client.get("/login", params={"next": after})
    fields = dict(re.findall(r'name="(csrf|next)" value="([^"]*)"', shown.text))
    return await client.post("/login", data={**fields, "name": name, "password": password}, **options)


def cookie(answer: httpx.Response, name: str = SESSION_COOKIE) -> str:
    """The line that sets a cookie."""
    [line] = [line for line in answer.headers.get_list("set-cookie") if line.startswith(f"{name}=")]
    return line.lower()


async def test_a_password_leads_to_the_page_that_was_asked_for(team: Team) -> None:
    name, client = await with_password(team.console, team.agent), await team.console.client()
    wanted = f"{team.agent.at('confirm')}?group=a%26b"

    asked = await client.get(wanted)
    assert (asked.status_code, asked.headers["location"]) == (303, f"/login?next={quote(wanted, safe='')}")
    answered = await sign_in(client, name, after=wanted)

    assert (answered.status_code, answered.headers["location"]) == (303, wanted)
    assert (await client.get(wanted)).status_code == 200
    line = cookie(answered)
    assert [flag in line for flag in ("httponly", "samesite=lax", "max-age=43200", "secure", "domain")] == [
        *(True, True, True),
        *(False, False),
    ]


async def test_a_wrong_password_and_an_unknown_name_are_answered_alike(team: Team) -> None:
    name, client = await with_password(team.console, team.agent), await team.console.client()

    answers = [await sign_in(client, who, WRONG) for who in (name, "nobody", "", "x" * 5_000)]

    assert [answer.status_code for answer in answers] == [403] * 4
    assert len({re.sub(r'value="[^"]*"', "", answer.text) for answer in answers}) == 1
    assert SESSION_COOKIE not in client.cookies
    assert (await sign_in(client, name, PASSWORD + "\0")).status_code == 400


async def test_an_unknown_name_takes_as_long_as_a_known_one(team: Team) -> None:
    """Otherwise the clock would tell which names there are."""
    name, client = await with_password(team.console, team.agent), await team.console.client()

    async def seconds(who: str) -> float:
        spent = []
        for _ in range(5):
            await team.console.stage.pool.execute("DELETE FROM sluice_console.failed_logins")
            began = time.perf_counter()
            await sign_in(client, who, WRONG)
            spent.append(time.perf_counter() - began)
        return min(spent)

    known, without, unknown = await seconds(name), await seconds(team.manager.person.name), await seconds("nobody")

    assert known / 2 < unknown < known * 2
    assert known / 2 < without < known * 2


async def test_a_session_that_was_there_before_is_not_the_one_that_is_signed_in(team: Team) -> None:
    name = await with_password(team.console, team.agent)
    planted = await team.console.client(cookies={SESSION_COOKIE: "planted"})
    theirs = await team.console.client(cookies={SESSION_COOKIE: team.outsider.session})

    first = cookie(await sign_in(planted, name))
    assert "planted" not in first
    planted.cookies.clear()
    planted.cookies.set(SESSION_COOKIE, "planted")
    assert (await planted.get(team.agent.at("confirm"))).status_code == 303

    # A signed-in person is led on; a form that was open before signs in somebody else, and ends what was there.
    await theirs.get("/login")
    theirs.cookies.delete(SESSION_COOKIE)
    shown = await theirs.get("/login")
    [csrf] = re.findall(r'name="csrf" value="([^"]*)"', shown.text)
    theirs.cookies.set(SESSION_COOKIE, team.outsider.session)
    answered = await theirs.post("/login", data={"csrf": csrf, "next": "/", "name": name, "password": PASSWORD})
    assert answered.status_code == 303
    assert await team.console.access.of_session(team.outsider.session) is None


async def test_a_login_without_the_cookie_of_its_form_is_refused(team: Team) -> None:
    """Another site must not sign its reader in as somebody else."""
    name, client = await with_password(team.console, team.agent), await team.console.client()
    shown = await client.get("/login")
    [csrf] = re.findall(r'name="csrf" value="([^"]*)"', shown.text)
    fields = {"csrf": csrf, "name": name, "password": PASSWORD}
    other = await team.console.client()

    assert (await other.post("/login", data=fields)).status_code == 403
    assert (await client.post("/login", data=fields | {"csrf": ""})).status_code == 403
    assert "samesite=lax" in cookie(shown, "sluice_login")
    assert (await client.post("/login", data=fields)).status_code == 303


async def test_signing_out_ends_the_session(team: Team) -> None:
    member = team.agent
    refused = await member.pages.post("/logout", data={"csrf": "x"})
    assert (refused.status_code, (await member.get("confirm")).status_code) == (403, 200)

    done = await member.pages.post("/logout", data={"csrf": member.csrf})

    assert (done.status_code, done.headers["location"]) == (303, "/login")
    assert 'sluice_session=""' in cookie(done)
    member.pages.cookies.set(SESSION_COOKIE, member.session)
    assert (await member.get("confirm")).headers["location"].startswith("/login")


async def test_what_has_ended_acts_at_once(team: Team) -> None:
    disabled, expired, revoked = team.agent, team.manager, team.owner
    pool = team.console.stage.pool
    assert [(await one.get("confirm")).status_code for one in (disabled, expired)] == [200, 200]

    await team.console.access.disable(disabled.person.name)
    await pool.execute(
        "UPDATE sluice_console.sessions SET expires_at = now() WHERE session_hash = $1", digest(expired.session)
    )
    await team.console.access.revoke(revoked.person.name)

    assert [(await one.get("confirm")).status_code for one in (disabled, expired)] == [303, 303]
    assert await team.console.access.of_token(revoked.token) is None
    assert (await revoked.get("confirm")).status_code == 200
    await team.console.access.clean()
    kept = "SELECT count(*) FROM sluice_console.sessions WHERE session_hash = ANY($1)"
    assert await pool.fetchval(kept, [digest(one.session) for one in (disabled, expired, revoked)]) == 1


async def test_a_disabled_user_cannot_sign_in(team: Team) -> None:
    name, client = await with_password(team.console, team.agent), await team.console.client()
    await team.console.access.disable(name)

    assert (await sign_in(client, name)).status_code == 403


async def test_who_guesses_a_password_is_slowed_down_in_every_process(team: Team) -> None:
    name = await with_password(team.console, team.agent)
    async with beside(team.console) as second:
        clients = [await team.console.client(), await second.client()]
        guesses = [await sign_in(clients[number % 2], name, WRONG) for number in range(5)]
        slowed = [await sign_in(client, name) for client in clients]

    assert [guess.status_code for guess in guesses] == [403] * 5
    assert [answer.status_code for answer in slowed] == [429, 429]
    assert {answer.headers["retry-after"] for answer in slowed} <= {"1", "2"}
    assert "Too many attempts" in slowed[0].text

    pool = team.console.stage.pool
    await pool.execute("UPDATE sluice_console.failed_logins SET last_at = now() - interval '2 s'")
    assert (await sign_in(clients[0], name)).status_code == 303
    left = await pool.fetch("SELECT failures FROM sluice_console.failed_logins")
    assert [row["failures"] for row in left] == [7]  # of the address: every attempt but the one that fitted


async def test_many_guesses_at_once_are_no_way_around(team: Team) -> None:
    name = await with_password(team.console, team.agent)
    client = await team.console.client()
    await client.get("/login")

    answers = await asyncio.gather(*(sign_in(client, name, WRONG) for _ in range(15)))

    assert sum(answer.status_code == 403 for answer in answers) <= 6


async def test_an_address_that_guesses_many_names_is_slowed_down(team: Team) -> None:
    name, client = await with_password(team.console, team.agent), await team.console.client()
    pool = team.console.stage.pool
    await sign_in(client, "first", WRONG)
    await pool.execute("UPDATE sluice_console.failed_logins SET failures = 29")
    assert (await sign_in(client, "second", WRONG)).status_code == 403

    assert (await sign_in(client, name)).status_code == 429
    assert await pool.fetchval("SELECT count(*) FROM sluice_console.failed_logins") == 3  # the name was not even tried


async def test_failed_logins_are_forgotten(team: Team) -> None:
    pool, access = team.console.stage.pool, team.console.access
    await pool.execute(
        """
        INSERT INTO sluice_console.failed_logins (subject, failures, last_at)
        SELECT sha256(n::text::bytea), 9, now() - n * interval '30 hours' FROM generate_series(0, 2) AS n
        """
    )
    await access.clean()
    assert await pool.fetchval("SELECT count(*) FROM sluice_console.failed_logins") == 1


async def test_a_user_has_a_bounded_number_of_sessions(team: Team) -> None:
    pool = team.console.stage.pool
    user = await pool.fetchval("SELECT user_id FROM sluice_console.users WHERE name = $1", team.agent.person.name)
    sessions = [await team.console.access.begun(user) for _ in range(50)]

    assert await pool.fetchval("SELECT count(*) FROM sluice_console.sessions WHERE user_id = $1", user) == 50
    assert await team.console.access.of_session(team.agent.session) is None
    assert await team.console.access.of_session(sessions[0]) is not None


async def test_who_only_looks_at_a_link_does_not_use_it_up(team: Team) -> None:
    link, client = await team.console.access.link(team.agent.person.name), await team.console.client()

    looked, opened = await client.head(f"/login/{link}"), await client.get(f"/login/{link}")

    assert (looked.status_code, looked.headers.get("set-cookie")) == (200, None)
    assert opened.status_code == 303


async def test_a_link_signs_in_once(team: Team) -> None:
    link, client = await team.console.access.link(team.agent.person.name), await team.console.client()

    first, second = await client.get(f"/login/{link}"), await client.get(f"/login/{link}")

    assert (first.status_code, second.status_code) == (303, 403)
    assert "used already" in second.text
    assert (await client.get(team.agent.at("confirm"))).status_code == 200


async def test_the_first_page_and_the_switch_lead_to_a_workspace_that_is_seen(team: Team) -> None:
    own, other = team.workspace.id, team.outsider.workspace

    assert (await team.agent.pages.get("/")).headers["location"] == f"/w/{own}/confirm"
    assert (await team.outsider.pages.get("/")).headers["location"] == f"/w/{other}/confirm"
    switched = await team.agent.pages.get("/workspace", params={"workspace": own})
    assert switched.headers["location"] == f"/w/{own}/confirm"
    for asked in (other, "", "//evil.example", "\r\na: b"):
        assert (await team.agent.pages.get("/workspace", params={"workspace": asked})).status_code == 404


async def test_a_browser_signs_in_works_and_signs_out(team: Team) -> None:
    name = await with_password(team.console, team.agent)
    await hold(team.workspace)
    async with team.browser(team.agent) as page:
        await page.goto(team.console.url + team.agent.at("confirm"))
        await page.get_by_label("Name").fill(name)
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Sign in").click()
        await page.wait_for_url(f"**{team.agent.at('confirm')}")
        await page.get_by_role("button", name="Sign out").click()
        await page.wait_for_url("**/login")
        assert await page.get_by_label("Password").is_visible()
