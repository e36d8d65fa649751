"""What every answer of the console keeps to, whatever is asked: headers, no other site, and logs without secrets."""

import re
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
import structlog
from structlog.testing import capture_logs

from console import passwords, rates
from console.visitor import SESSION_COOKIE
from tests.acceptance.scenes import hold
from tests.acceptance.stage import PHONE
from tests.console.running import Team

TEXT = "a text that nobody else may read"


def check_headers(answer: httpx.Response) -> None:
    """No script, style or frame of others; nothing is kept or guessed."""
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    is_file = answer.request.url.path.startswith("/static/") and answer.status_code == 200
    assert answer.headers["cache-control"] == ("public, max-age=31536000, immutable" if is_file else "no-store")
    assert "server" not in answer.headers
    assert "access-control-allow-origin" not in answer.headers


async def test_every_answer_has_the_headers(team: Team) -> None:
    client = await team.console.client()
    page = await team.agent.get("confirm")
    static = re.findall(r'(?:href|src)="(/static/[^"#]+)', page.text)
    answers = [
        page,
        *[await client.get(path) for path in static],
        await client.get("/"),
        await client.get("/login"),
        await client.get("/nothing"),
        await client.get("/static/0/console.js"),
        await client.get("/api/v1/workspaces"),
        await client.get("/api/v1/nothing"),
        await client.post("/login", content=b"x" * 300_000),
        await client.request("DELETE", "/login"),
        await client.request("OPTIONS", "/api/v1/workspaces", headers={"origin": "https://evil.example"}),
        await team.agent.post("confirm/no-id", answer="reject"),
        await team.operator.pages.get("/operations"),
    ]
    for answer in answers:
        check_headers(answer)
    assert len(static) >= 3
    assert {answer.status_code for answer in answers} >= {200, 303, 401, 404, 405, 413}


async def test_no_page_has_a_script_or_a_style_of_its_own(team: Team) -> None:
    """The policy would leave them out; a page that needs them would be broken."""
    await hold(team.workspace)
    for path in ("confirm", "conversations", "contacts", "profiles", "dropped", "active", "audit"):
        page = await team.owner.get(path)
        assert page.status_code == 200, path
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:", page.text), path
        assert not re.search(r'(?:src|href|action)="(?:https?:)?//', page.text), path


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}"])
async def test_what_people_wrote_is_text(team: Team, text: str) -> None:
    """In the page, and in a real browser: nothing of it runs."""
    send = await hold(
        team.workspace, content={"type": "text", "text": text}, requested_by={"id": text, "role": "agent"}
    )
    page = team.agent.at(f"confirm/{send['send_id']}")

    shown = await team.agent.pages.get(page)

    assert "<script>alert" not in shown.text
    assert "<img src=x" not in shown.text
    async with team.browser(team.agent) as browser:
        asked: list[str] = []
        browser.on("dialog", lambda dialog: asked.append(dialog.message))
        await browser.goto(team.console.url + page)
        assert text in await browser.inner_text("#main")
    assert asked == []


async def test_who_asks_too_often_waits_and_others_do_not(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "BURST", 3)
    monkeypatch.setattr(rates, "PER_SECOND", 0.01)

    pages = [await team.agent.get("confirm") for _ in range(4)]
    calls = [await team.agent.api.get("/workspaces") for _ in range(4)]

    assert [answer.status_code for answer in (*pages, *calls)] == [200, 200, 200, 429] * 2
    assert all(int(refused.headers["retry-after"]) > 90 for refused in (pages[3], calls[3]))
    assert "Too many requests" in pages[3].text
    assert calls[3].headers["content-type"] == "application/problem+json"
    assert (await team.manager.get("confirm")).status_code == 200


async def test_a_fault_is_told_as_little_as_possible(
    team: Team, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails(*_: object) -> None:
        raise RuntimeError(TEXT)

    monkeypatch.setattr("console.access.Access.of_session", fails)
    monkeypatch.setattr("console.access.Access.of_token", fails)

    with capture_logs() as logs, caplog.at_level("DEBUG"):
        page, call = await team.agent.get("confirm"), await team.agent.api.get("/workspaces")

    assert TEXT not in str(logs) + caplog.text
    assert caplog.text.count(f"RuntimeError at {__file__}:") == 2
    assert (page.status_code, call.status_code) == (500, 500)
    assert "Something went wrong" in page.text
    assert TEXT not in page.text + call.text
    assert call.headers["content-type"] == "application/problem+json"
    for answer in (page, call):
        check_headers(answer)


async def test_lines_that_somebody_smuggles_in_set_no_header(team: Team) -> None:
    client = await team.console.client()
    for path in (
        "/login?next=%2F%0d%0aset-cookie:%20a=b",
        "/w/a%0d%0aset-cookie:%20a=b/confirm",
        "/workspace?workspace=%0d%0aset-cookie:%20a=b",
    ):
        for who in (client, team.agent.pages, team.operator.pages):
            answer = await who.get(path)
            cookies = answer.headers.get_list("set-cookie")
            assert not [line for line in cookies if not line.startswith("sluice_")], path
            assert answer.status_code in {200, 303, 404}, path


async def test_logs_have_no_text_address_or_secret(team: Team) -> None:
    password = "a password of this test"  # noqa: S105 - nobody's
    await team.console.access.set_password(team.manager.person.name, passwords.hashed(password))
    send = await hold(team.workspace, content={"type": "text", "text": TEXT})
    client = await team.console.client()
    with capture_logs() as logs:
        shown = await client.get("/login")
        [csrf] = re.findall(r'name="csrf" value="([^"]*)"', shown.text)
        for typed in ("wrong", password):
            fields = {"csrf": csrf, "name": team.manager.person.name, "password": typed}
            await client.post("/login", data=fields)
        await team.agent.get("confirm")
        await team.agent.post(f"confirm/{send['send_id']}", answer="reject")
        await team.agent.get("contacts", q=PHONE)
        await team.agent.api.get(f"/workspaces/{team.workspace.id}/contacts", params={"q": PHONE})
    secrets = (TEXT, PHONE, password, team.agent.session, team.agent.token, csrf, client.cookies[SESSION_COOKIE])
    assert structlog.is_configured() or logs is not None
    assert not [line for line in map(str, logs) if any(secret in line for secret in secrets)]


@pytest.mark.parametrize(
    ("method", "path", "sent"),
    [
        ("POST", "/login", {"content": b"\xff\xfe", "headers": {"content-type": "application/x-www-form-urlencoded"}}),
        ("POST", "/login", {"content": b"a" * 100, "headers": {"content-type": "text/plain"}}),
        ("POST", "/login", {"content": b"&".join([b"a=b"] * 2_000)}),
        ("POST", "/login", {"content": b"name=%00&password=%ff"}),
        ("POST", "/logout", {"data": {"csrf": "ü"}}),
        ("GET", "/w/%00/confirm", {}),
        ("GET", "/w/%ff%fe/confirm", {}),
        ("GET", f"/w/{'x' * 10_000}/confirm", {}),
        ("GET", "/w/nowhere/confirm", {}),
        ("GET", "/login/%00", {}),
        ("GET", "/static/../../etc/passwd", {}),
        ("GET", "/static/..%2f..%2f/access.py", {}),
        ("GET", "/", {"headers": {"cookie": f"{SESSION_COOKIE}=\xff\x00"}}),
        ("GET", "/", {"headers": {"cookie": f"{SESSION_COOKIE}=" + "x" * 20_000}}),
    ],
)
async def test_nonsense_is_answered_and_not_a_fault(
    team: Team, method: str, path: str, sent: Mapping[str, Any]
) -> None:
    sent = dict(sent)
    if "content" in sent and "headers" not in sent:
        sent["headers"] = {"content-type": "application/x-www-form-urlencoded"}
    anybody = await team.console.client()
    for client in (anybody, team.operator.pages):
        try:
            answer = await client.request(method, path, **sent)
        except (httpx.LocalProtocolError, UnicodeEncodeError):
            continue  # the client refuses to send it
        assert answer.status_code < 500, answer.text
        check_headers(answer)
