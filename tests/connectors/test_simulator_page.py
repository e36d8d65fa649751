"""The simulator's page over real sockets: pages of other sites can neither read the phones nor write on them."""

import json
from collections.abc import Mapping
from typing import Final

import pytest

from connectors.simulator import server as simulator_server
from connectors.simulator.phones import Phones, Shown
from tests.connectors.serving import Reply, Server, simulating
from tests.connectors.test_vectors import NOW
from tests.connectors.vectors import channel_of

TELEGRAM: Final = channel_of("telegram")
SAY: Final = "/say/acme/tg-main"
JSON: Final = {"content-type": "application/json"}
HELLO: Final = b'{"from": "5", "text": "Hello"}'


def at(server: Server, host: str = "127.0.0.1") -> dict[str, str]:
    return {"host": f"{host}:{server.port}"}


@pytest.mark.parametrize("path", ["/", "/phones", "/events"])
@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "evil@localhost"]
)
async def test_a_name_that_points_here_reads_nothing(path: str, host: str) -> None:
    async with simulating([TELEGRAM]) as server:
        reply = await server.asks("GET", path, at(server, host))
        assert (reply.status, reply.body) == (403, b"")
        assert (await server.asks("GET", path, {"host": host})).status == 403


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "LOCALHOST"])
async def test_this_machine_reads_the_phones(host: str) -> None:
    async with simulating([TELEGRAM]) as server:
        for path in ("/", "/phones", "/events"):
            assert (await server.asks("GET", path, at(server, host))).status == 200
        assert (await server.asks("POST", SAY, at(server, host) | JSON, HELLO)).status == 202


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "multipart/form-data; boundary=application/json"},
        {},
        JSON | {"host": "evil.example"},
        JSON | {"host": "evil.example:8082"},
    ],
)
@pytest.mark.parametrize("path", [SAY, "/faults/acme/tg-main"])
async def test_a_form_of_another_site_does_nothing(path: str, headers: Mapping[str, str]) -> None:
    async with simulating([TELEGRAM]) as server:
        body = HELLO if path == SAY else b'{"fault": "broken"}'
        reply = await server.asks("POST", path, at(server) | dict(headers), body)
        assert reply.status in (400, 403)
        assert await phones(server) == []


async def test_no_other_site_is_allowed_to_ask() -> None:
    async with simulating([TELEGRAM]) as server:
        asks = {"origin": "https://evil.example", "access-control-request-method": "POST"}
        for reply in (
            await server.asks("OPTIONS", SAY, at(server) | asks),
            await server.asks("GET", "/phones", at(server) | asks),
        ):
            assert not [name for name in reply.headers if name.startswith("access-control")]
        assert (await server.asks("POST", f"{SAY}/", at(server) | JSON, HELLO)).status == 404


async def test_what_people_write_stays_text() -> None:
    text = "</script><img src=x onerror=alert(1)>\u2028"
    async with simulating([TELEGRAM]) as server:
        said = json.dumps({"from": "5", "text": text, "name": text}).encode()
        assert (await server.asks("POST", SAY, at(server) | JSON, said)).status == 202
        shown = await server.asks("GET", "/phones", at(server))
        page = await server.asks("GET", "/", at(server))

    assert shown.headers["content-type"] == "application/json"
    assert json.loads(shown.body)["phones"][0]["messages"][0]["text"] == text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert b"innerHTML" not in page.body
    assert [reply.headers["x-content-type-options"] for reply in (shown, page)] == ["nosniff", "nosniff"]


NO_MESSAGES: Final = [
    b"",
    b"[]",
    b"{}",
    b"[" * 100_000,
    b'{"from": 5, "text": "x"}',
    b'{"from": "x", "text": "x"}',
    b'{"from": "5", "text": "\\ud83d"}',
    b'{"from": "5", "text": null}',
    b"\xff",
]


@pytest.mark.parametrize("body", NO_MESSAGES)
async def test_what_is_no_message_is_400_or_taken(body: bytes) -> None:
    async with simulating([TELEGRAM]) as server:
        assert (await server.asks("POST", SAY, at(server) | JSON, body)).status in (400, 202)
        for told in (
            b"{}",
            b'{"fault": []}',
            b'{"fault": "broken", "times": "x"}',
            b'{"fault": "broken", "times": 1e999}',
            body,
        ):
            assert (await server.asks("POST", "/faults/acme/tg-main", at(server) | JSON, told)).status == 400


@pytest.mark.parametrize("path", [SAY, "/api/acme/tg-main/bot1/sendMessage"])
async def test_bodies_are_bounded(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulator_server, "_LARGEST", 100_000)
    head = f"POST {path} HTTP/1.1\r\nHost: localhost:1\r\nContent-Type: application/json\r\n"
    async with simulating([TELEGRAM]) as server:
        for begins in ("Transfer-Encoding: chunked\r\n\r\n", "Content-Length: 99999999\r\n\r\n"):
            async with server.connected() as connection:
                await connection.send((head + begins).encode() + (b"10000\r\n" + b"x" * 65_536 + b"\r\n") * 3)
                assert (await connection.reply()).status == 413


def test_half_a_character_on_a_phone_hides_no_phone() -> None:
    phones = Phones()
    shown = Shown(1, from_person=True, text="half of \ud83d", status="sending", at=NOW)
    phones.add(TELEGRAM.place, "\ud83d", shown)

    assert json.dumps(phones.document(), ensure_ascii=False).encode()


async def phones(server: Server) -> list[object]:
    reply: Reply = await server.asks("GET", "/phones", at(server))
    found: list[object] = json.loads(reply.body)["phones"]
    return found
