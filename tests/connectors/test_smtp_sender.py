"""The sender's side of SMTP, over real sockets."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any, Final

import pytest

from connectors.provider import Answer, Channel, Mail
from connectors.sender.smtp import deliver
from connectors.sender.transport import Broken, NotConnected
from connectors.simulator.played import ApiRequest, Taken
from connectors.simulator.smtp import pointed_at, take
from connectors.simulator.smtp_server import smtp_server
from tests.connectors.test_vectors import SEND_ID, dispatch
from tests.connectors.vectors import channel_of

TLS: Final = Path(__file__).parents[1] / "support" / "tls"
ID: Final = f"{SEND_ID}.1@acme.example"


class Server:
    """A mail server. `answers` are given in turn to its mails, None breaks the connection; then it takes them."""

    def __init__(self, *answers: Answer | None, refuses: dict[str, Answer] | None = None) -> None:
        self.mails: list[ApiRequest] = []
        self.refuses = refuses or {}
        self._answers = list(answers)

    async def take(self, request: ApiRequest) -> Answer | None:
        self.mails.append(request)
        if self._answers:
            return self._answers.pop(0)
        taken = take(channel_of("smtp"), request, len(self.mails))
        return taken.answer if isinstance(taken, Taken) else taken

    @asynccontextmanager
    async def running(self, **told: Any) -> AsyncIterator[int]:
        server = await smtp_server("127.0.0.1", 0, self.take, self.refuses.get, **told)
        try:
            yield int(server.sockets[0].getsockname()[1])
        finally:
            server.close()


def mail_to(channel: Channel, text: str = "Hello\n.\n..\nAda", address: str = "ada@byron.example") -> Mail:
    told = {"address": address, "content": {"type": "text", "text": text, "subject": "Your order"}}
    mail = channel.provider.request(channel, dispatch("smtp", told))
    assert isinstance(mail, Mail)
    return mail


def plain(port: int) -> Channel:
    return pointed_at(channel_of("smtp"), "127.0.0.1", port)


def secured(port: int, **told: Any) -> Channel:
    return channel_of("smtp", smtp_host="localhost", smtp_port=port, **told)


async def test_a_mail_arrives_whole_and_with_the_time() -> None:
    server = Server()
    async with server.running() as port:
        channel = plain(port)
        answer = await deliver(channel, mail_to(channel), 10)

    outcome = channel.provider.outcome(channel, answer)
    [request] = server.mails
    arrived = message_from_bytes(request.body, policy=default)
    assert (outcome.status, outcome.provider_message_id) == ("sent", ID)
    assert arrived.get_content().replace("\r\n", "\n") == "Hello\n.\n..\nAda\n"
    assert (arrived["Message-ID"], arrived["Subject"]) == (f"<{ID}>", "Your order")
    assert abs(arrived["Date"].datetime - datetime.now(UTC)) < timedelta(minutes=1)
    assert dict(request.headers) == {"x-envelope-from": "help@acme.example", "x-envelope-to": "ada@byron.example"}


@pytest.mark.parametrize(
    ("reply", "meant"),
    [
        (Answer(450, {}, b"4.2.0 Greylisted"), ("failed", "4.2.0", False)),
        (Answer(421, {}, b"4.7.0 Try again later"), ("failed", "4.7.0", False)),
        (Answer(550, {}, b"5.1.1 User unknown"), ("failed", "5.1.1", True)),
        (Answer(554, {}, b"Spam"), ("failed", "554", True)),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Answer) else "",
)
@pytest.mark.parametrize("where", ["recipient", "mail"])
async def test_a_reply_decides_wherever_it_comes(where: str, reply: Answer, meant: tuple[str, str, bool]) -> None:
    server = Server(reply) if where == "mail" else Server(refuses={"ada@byron.example": reply})
    async with server.running() as port:
        channel = plain(port)
        outcome = channel.provider.outcome(channel, await deliver(channel, mail_to(channel), 10))

    assert (outcome.status, outcome.code, outcome.permanent) == meant
    assert len(server.mails) == (where == "mail")


async def test_a_connection_that_breaks_after_the_mail_may_have_taken_it() -> None:
    server = Server(None)
    async with server.running() as port:
        with pytest.raises(Broken):
            await deliver(plain(port), mail_to(plain(port)), 10)

    assert len(server.mails) == 1


async def test_a_server_that_does_not_answer_the_mail_may_have_taken_it() -> None:
    async with silent([b"220 hi\r\n", b"250 hi\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"]) as port:
        with pytest.raises(Broken):
            await deliver(plain(port), mail_to(plain(port)), 0.5)


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [b"220 hi\r\n"],
        [b"220 hi\r\n", b"250 hi\r\n"],
        [b"554 go away\r\n"],
        [b"nonsense\r\n"],
        [b"220 hi\r\n", b"250 hi\r\n", b"nonsense\r\n"],
    ],
    ids=["nothing", "greeting", "hello", "refusal", "nonsense", "nonsense to the sender"],
)
async def test_a_server_that_stops_before_the_mail_took_nothing(lines: list[bytes]) -> None:
    async with silent(lines) as port:
        with pytest.raises(NotConnected):
            await deliver(plain(port), mail_to(plain(port)), 0.5)


async def test_who_gives_the_time_learns_what_became_of_the_mail() -> None:
    replies = [b"220 hi\r\n", b"250 hi\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"]
    for lines, error in ((replies[:1], NotConnected), (replies, Broken)):
        async with silent(lines) as port:
            with pytest.raises(error):
                async with asyncio.timeout(0.5):
                    await deliver(plain(port), mail_to(plain(port)), 0.5)
    async with silent([*replies, b"250 2.0.0 taken\r\n"]) as port, asyncio.timeout(0.5):
        answer = await deliver(plain(port), mail_to(plain(port)), 0.5)

    assert answer.status == 250


async def test_where_nobody_listens_nothing_leaves() -> None:
    async with silent([]) as port:
        pass
    with pytest.raises(NotConnected):
        await deliver(plain(port), mail_to(plain(port)), 5)


async def test_a_reply_to_the_mail_counts_although_nobody_says_goodbye() -> None:
    replies = [b"220 hi\r\n", b"250 hi\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n", b"250 2.0.0 taken\r\n"]
    async with silent(replies) as port:
        answer = await deliver(plain(port), mail_to(plain(port)), 5)

    assert (answer.status, answer.headers) == (250, {"message-id": f"<{ID}>"})


async def test_tls_and_the_password_are_used() -> None:
    server, wrong = Server(), "guessed"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "certificate.pem", TLS / "key.pem")
    async with server.running(tls=context, password=channel_of("smtp").keys.password.text) as port:
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("SSL_CERT_FILE", str(TLS / "certificate.pem"))
            answer = await deliver(secured(port), mail_to(secured(port)), 10)
            with pytest.raises(NotConnected, match="535|Authentication"):
                await deliver(secured(port, password=wrong), mail_to(secured(port)), 10)
        with pytest.raises(NotConnected, match="(?i)certificate"):
            await deliver(secured(port), mail_to(secured(port)), 10)

    assert (answer.status, len(server.mails)) == (250, 1)


async def test_a_server_without_tls_gets_neither_password_nor_mail() -> None:
    server = Server()
    async with server.running() as port:
        with pytest.raises(NotConnected, match="(?i)starttls"):
            await deliver(secured(port), mail_to(secured(port)), 10)

    assert server.mails == []


@asynccontextmanager
async def silent(lines: list[bytes]) -> AsyncIterator[int]:
    """A server that gives these lines, one for each command, and then nothing more."""
    done = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number, line in enumerate(lines):
            if number == 5:
                await reader.readuntil(b"\r\n.\r\n")
            elif number:
                await reader.readline()
            writer.write(line)
            await writer.drain()
        await done.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        done.set()
        server.close()
        await asyncio.sleep(0.05)
