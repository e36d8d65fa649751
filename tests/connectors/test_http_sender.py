"""Calls of providers over real sockets: whatever they answer, time and memory are bounded and secrets stay where they
belong.
"""

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from connectors.provider import Answer, Call, Channel
from connectors.sender.http import HttpTransport
from connectors.sender.transport import Broken, NotConnected
from tests.connectors.vectors import channel_of

TLS: Final = Path(__file__).parents[1] / "support" / "tls"
OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
CHANNEL: Final = replace(channel_of("telegram"), timeout_s=2.0)
Writes = Callable[[asyncio.StreamWriter], Coroutine[Any, Any, None]]


class Provider:
    """Answers every request with these bytes, or as a function writes them, and remembers the heads of requests."""

    def __init__(self, answer: bytes | Writes) -> None:
        self._answer = answer
        self.heads: list[str] = []
        self.port = 0

    @asynccontextmanager
    async def running(self, tls: ssl.SSLContext | None = None) -> AsyncIterator["Provider"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.heads.append(head)
                length = next(line for line in head.lower().split("\r\n") if line.startswith("content-length:"))
                await reader.readexactly(int(length.partition(":")[2]))
                if isinstance(self._answer, bytes):
                    writer.write(self._answer)
                    await writer.drain()
                else:
                    await self._answer(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    async def called(self, transport: HttpTransport, channel: Channel = CHANNEL, other: str = "") -> Answer:
        url = f"http://127.0.0.1:{self.port}/bot{channel.keys.bot_token.text}/sendMessage"
        async with asyncio.timeout(10):
            return await transport.deliver(channel, Call("POST", url, {"x-other": other}, b"{}"))


async def answer_to(given: bytes | Writes) -> Answer:
    async with Provider(given).running() as provider, HttpTransport() as transport:
        return await provider.called(transport)


def repeated(begins: bytes, piece: bytes, pause_s: float = 0.0) -> Writes:
    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(begins)
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_s)

    return write


async def test_an_endless_answer_is_cut() -> None:
    endless = repeated(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", b"x" * 65_536)
    answer = await answer_to(endless)

    assert (answer.status, answer.body) == (200, b"x" * 262_144)


async def test_a_compressed_answer_is_not_inflated() -> None:
    bomb = gzip.compress(b"0" * 100_000_000)
    assert len(bomb) < 200_000
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n"
    answer = await answer_to(head.encode() + bomb)

    assert answer.body == bomb
    assert CHANNEL.provider.outcome(CHANNEL, answer).status == "ambiguous"


@pytest.mark.parametrize(
    "answer",
    [
        repeated(b"HTTP/1.1 200 OK\r\n", b"X-Much: " + b"x" * 1_000 + b"\r\n"),
        repeated(b"HTTP/1.1 200 OK\r\nX-Much: ", b"x" * 65_536),
        repeated(b"HTTP/1.1 ", b"2" * 65_536),
        repeated(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.001),
        repeated(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1;" + b"x" * 65_536),
        b"SSH-2.0-OpenSSH_9.9\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"HTTP/1.1 \xff\xfe OK\r\n\r\n",
        b"\0" * 100,
        repeated(b"", b"", 0.01),
        repeated(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"x", 0.05),
        repeated(b"HTTP/1.1 200 OK\r\nX: ", b"x", 0.05),
    ],
    ids=["headers", "a header", "a status", "continue", "a chunk", "no HTTP", "no length", "two lengths", "no status",
         "zeros", "silence", "a slow body", "a slow head"],
)  # fmt: skip
async def test_after_an_answer_that_is_none_nobody_knows(answer: bytes | Writes) -> None:
    with pytest.raises((Broken, TimeoutError)):
        await answer_to(answer)


async def test_a_redirect_is_an_answer_and_not_followed() -> None:
    async with Provider(OK).running() as other:
        moved = f"HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:{other.port}/\r\nContent-Length: 0\r\n\r\n"
        answer = await answer_to(moved.encode())

    assert (answer.status, other.heads) == (307, [])


async def test_cookies_of_one_channel_do_not_reach_another_one() -> None:
    cookie = b"HTTP/1.1 200 OK\r\nSet-Cookie: session=of-acme; Path=/\r\nContent-Length: 2\r\n\r\n{}"
    async with Provider(cookie).running() as provider, HttpTransport() as transport:
        await provider.called(transport)
        await provider.called(transport, replace(CHANNEL, workspace_id="other"))

    assert [("cookie:" in head.lower()) for head in provider.heads] == [False, False]


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("default login evil password evil\n", encoding="utf-8")
    (tmp_path / ".netrc").chmod(0o600)
    async with Provider(OK).running() as proxy, Provider(OK).running() as provider, HttpTransport() as transport:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
        monkeypatch.setenv("HOME", str(tmp_path))
        await provider.called(transport)

    assert (len(provider.heads), proxy.heads) == (1, [])
    assert "authorization" not in provider.heads[0].lower()


async def test_a_certificate_that_nobody_vouches_for_gets_nothing() -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(TLS / "certificate.pem", TLS / "key.pem")
    async with Provider(OK).running(context) as provider, HttpTransport() as transport:
        with pytest.raises(NotConnected) as refused:
            await transport.deliver(CHANNEL, Call("POST", f"https://127.0.0.1:{provider.port}/s3cret", {}, b"{}"))

    assert provider.heads == []
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\n", "\0", "ß", "\ud83d"])
async def test_a_header_stays_one_header(value: str) -> None:
    async with Provider(OK).running() as provider, HttpTransport() as transport:
        try:
            await provider.called(transport, other=value)
        except (Broken, NotConnected):
            assert provider.heads == []
        await provider.called(transport)

    assert not [head for head in provider.heads if "x-evil" in head.lower()]


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:99999/", "http://[::1/", "file:///etc/passwd", "x", "http://\udcff/"]
)
async def test_an_address_that_is_none_is_no_connection(url: str) -> None:
    async with HttpTransport() as transport:
        with pytest.raises((NotConnected, Broken)):
            await transport.deliver(CHANNEL, Call("POST", url, {}, b"{}"))
