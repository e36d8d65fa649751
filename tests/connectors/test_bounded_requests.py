"""What a connection may send, and for how long, before the receiver ends it."""

import pytest

from connectors.receiver import http
from tests.connectors.serving import Server, receiving, simulating
from tests.connectors.vectors import channel_of
from tests.support.brokers import Broker
from workers.process import bounded_http

TELEGRAM = channel_of("telegram")
HEAD = (
    f"POST {TELEGRAM.webhook} HTTP/1.1\r\nHost: in.acme.example\r\n"
    f"X-Telegram-Bot-Api-Secret-Token: {TELEGRAM.keys.secret_token.text}\r\n"
).encode()
UNKNOWN = HEAD.replace(b"tg-main", b"no-main")
EMPTY = HEAD + b"Content-Length: 2\r\n\r\n{}"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
MIB = 1024 * 1024


async def flooded(server: Server, begins: bytes, piece: bytes, most: int) -> bool:
    """Whether the receiver ends a connection before it has taken so many bytes."""
    async with server.connected() as connection:
        try:
            await connection.send(begins)
            for _ in range(most // len(piece)):
                await connection.send(piece)
        except ConnectionError:
            return True
        return await connection.is_closed(1)


@pytest.mark.parametrize(
    ("begins", "piece"),
    [
        (HEAD, b"X-Much: " + b"x" * 1_000 + b"\r\n"),
        (HEAD + b"X-Much: ", b"x" * 10_000),
        (b"GET /", b"x" * 10_000),
        (EMPTY + HEAD, b"X-Much: " + b"x" * 1_000 + b"\r\n"),
        (CHUNKED + b"2\r\n{}\r\n0\r\n", b"X-Much: " + b"x" * 1_000 + b"\r\n"),
        (CHUNKED + b"2\r\n{}\r\n0\r\nX-Much: ", b"x" * 10_000),
        (CHUNKED, b"1;" + b"x" * 1_000 + b"\r\n{\r\n"),
        (CHUNKED + b"2;", b"x" * 10_000),
        (UNKNOWN + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X-Much: " + b"x" * 1_000 + b"\r\n"),
    ],
    ids=[
        "headers",
        "a header",
        "a path",
        "headers of the next request",
        "trailers",
        "a trailer",
        "chunks with much beside them",
        "a chunk with much beside it",
        "trailers after the answer",
    ],
)
async def test_what_is_no_body_is_bounded(broker: Broker, begins: bytes, piece: bytes) -> None:
    async with receiving(broker, [TELEGRAM]) as server:
        assert await flooded(server, begins, piece, 32 * MIB)


@pytest.mark.parametrize("size", [1, 7, 1_000])
async def test_a_body_may_come_in_chunks(broker: Broker, size: int) -> None:
    body = b'{"update_id":1}' + b" " * 4_000 * size
    chunks = [body[at : at + size] for at in range(0, len(body), size)]
    data = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    async with receiving(broker, [TELEGRAM]) as server, server.connected() as connection:
        for _ in range(2):
            await connection.send(CHUNKED + data)
            assert (await connection.reply()).status == 200


@pytest.mark.parametrize(
    ("begins", "piece"),
    [
        (b"", b""),
        (b"", b"P"),
        (b"", b"\r\n"),
        (EMPTY, b"\r\n"),
        (EMPTY + HEAD, b"X: x\r\n"),
        (HEAD + b"Content-Length: 100\r\n\r\n", b"x"),
        (UNKNOWN + b"Content-Length: 100000\r\n\r\n", b"x"),
        (HEAD + b"Content-Length: 99999999\r\n\r\n", b"x"),
    ],
    ids=[
        "nothing",
        "a slow head",
        "empty lines",
        "empty lines after a request",
        "a slow second head",
        "a slow body",
        "a slow body that nobody waits for",
        "a slow body that is refused",
    ],
)
async def test_time_is_bounded_however_little_comes(
    broker: Broker, begins: bytes, piece: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_http, "HEAD_S", 0.3)
    monkeypatch.setattr(bounded_http, "REQUEST_S", 0.6)
    monkeypatch.setattr(http, "_BODY_S", 0.3)
    async with receiving(broker, [TELEGRAM]) as server, server.connected() as connection:
        await connection.send(begins)
        for _ in range(100):
            if await connection.is_closed(0.05):
                return
            try:
                await connection.send(piece)
            except ConnectionError:
                return
    raise AssertionError("the connection stays open")


async def test_who_does_not_read_answers_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_http, "STALLED_S", 0.3)
    page = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    async with simulating([TELEGRAM]) as server:
        async with server.connected(received=4_096) as connection:
            with pytest.raises(ConnectionError):
                await connection.sends_without_reading(page, pause_s=0.002)
        assert (await server.asks("GET", "/phones", {"host": "localhost"})).status == 200


async def test_a_few_requests_may_be_ahead_of_their_answers(broker: Broker) -> None:
    async with receiving(broker, [TELEGRAM]) as server, server.connected() as connection:
        await connection.send(EMPTY * (bounded_http.MOST_WAITING + 1))
        answers = [(await connection.reply()).status for _ in range(bounded_http.MOST_WAITING + 1)]
        assert answers == [200] * len(answers)
        await connection.send(EMPTY * 100)
        assert await connection.is_closed()


async def test_a_request_for_another_protocol_is_refused_and_not_taken_without_its_body(broker: Broker) -> None:
    async with receiving(broker, [TELEGRAM]) as server:
        for protocol in ("h2c", "websocket"):
            told = {"connection": "Upgrade", "upgrade": protocol}
            token = {"x-telegram-bot-api-secret-token": TELEGRAM.keys.secret_token.text}
            assert (await server.posts(TELEGRAM, b"{}", told | token)).status == 400


@pytest.mark.parametrize(
    "begins",
    [
        "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
        "Content-Length: 2\r\nContent-Length: 3\r\n\r\n",
        "Content-Length: +2\r\n\r\n",
        "Content-Length: -2\r\n\r\n",
        "Content-Length: 2,2\r\n\r\n",
        "Content-Length : 2\r\n\r\n",
        "Transfer-Encoding: xchunked\r\n\r\n",
        "Transfer-Encoding: chunked, identity\r\n\r\n",
        "Transfer-Encoding\x0b: chunked\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n0x2\r\n",
        "Transfer-Encoding: chunked\r\n\r\n2 \n",
        "Transfer-Encoding: chunked\r\n\r\n-2\r\n",
        "X: a\r\n b\r\nContent-Length: 2\r\n\r\n",
        "X: a\0b\r\nContent-Length: 2\r\n\r\n",
        "Content-Length: 2\n\n",
    ],
)
async def test_a_request_that_two_servers_could_read_in_two_ways_is_400(broker: Broker, begins: str) -> None:
    async with receiving(broker, [TELEGRAM]) as server, server.connected() as connection:
        await connection.send(HEAD + begins.encode("latin-1") + b"{}")
        assert (await connection.reply()).status == 400
        assert await connection.is_closed()
    assert await broker.read_all("webhooks.unmapped") == []
