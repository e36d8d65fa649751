"""The mail side of the receiver, over real sockets."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final

import pytest
import uvloop

from connectors.provider import MAX_MAIL, Channel, Webhook
from connectors.receiver import lmtp
from connectors.receiver.lmtp import Take, serve_lmtp
from connectors.simulator.played import Said
from connectors.simulator.smtp import say
from connectors.simulator.smtp_server import HandOverError, hand_over
from connectors.understanding import Understanding
from tests.connectors.vectors import channel_of
from tests.support.ports import free_port
from workers.errors import SettingsError

NOW: Final = datetime(2026, 12, 1, 10, tzinfo=UTC)
HELP: Final = "help@acme.example"


class Taking:
    """Keeps what it takes. `answers` are given in turn: `taken`, `later` or `fails`; then always the last one."""

    def __init__(self, *answers: str) -> None:
        self.taken: list[tuple[str, Webhook]] = []
        self._answers = list(answers) or ["taken"]
        self.began = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def __call__(self, channel: Channel, webhook: Webhook) -> bool:
        self.taken.append((channel.place, webhook))
        self.began.set()
        await self.may_answer.wait()
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if answer == "fails":
            raise RuntimeError(answer)
        return answer == "taken"

    @property
    def bodies(self) -> list[bytes]:
        return [webhook.body for _, webhook in self.taken]


class Client:
    """A mail server that speaks LMTP."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def reply(self) -> str:
        while True:
            line = (await asyncio.wait_for(self.reader.readline(), 20)).decode().strip()
            if line[3:4] != "-":
                return line

    async def says(self, *lines: str | bytes) -> str:
        for line in lines:
            self.writer.write((line.encode() if isinstance(line, str) else line) + b"\r\n")
        await self.writer.drain()
        return await self.reply()

    async def begins(self, *recipients: str, sender: str = "ada@byron.example") -> list[str]:
        await self.reply()
        replies = [await self.says("LHLO mx.acme.example"), await self.says(f"MAIL FROM:<{sender}>")]
        return replies + [await self.says(f"RCPT TO:<{recipient}>") for recipient in recipients]


@asynccontextmanager
async def listening(taking: Take, channels: Sequence[Channel] | None = None) -> AsyncIterator[tuple[str, int]]:
    host, port = "127.0.0.1", free_port()
    entries = channels or [channel_at(port)]
    port = int(entries[0].keys.listen.rpartition(":")[2])
    stop, ready = asyncio.Event(), asyncio.Event()
    serving = asyncio.create_task(serve_lmtp(entries, taking, stop, ready.set))
    try:
        await asyncio.wait([serving, asyncio.create_task(ready.wait())], return_when=asyncio.FIRST_COMPLETED)
        yield host, port
    finally:
        stop.set()
        ready.set()
        await asyncio.wait_for(serving, 20)


@asynccontextmanager
async def connected(place: tuple[str, int]) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection(*place, limit=1_048_576)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()


def channel_at(port: int, **told: Any) -> Channel:
    return channel_of("smtp", listen=f"127.0.0.1:{port}", **told)


async def test_a_mail_is_acknowledged_once_everything_it_says_is() -> None:
    taking = Taking()
    async with listening(taking) as place:
        mail = say(channel_at(1), Said("ada@byron.example", "Good morning\n.\nAda", "Ada", 7, NOW))
        await hand_over(*place, mail)

    [(where, webhook)] = taking.taken
    channel, found = channel_at(1), Understanding()
    assert channel.provider.verify(channel, webhook, NOW)
    channel.provider.understand(channel, webhook, found, NOW)
    assert (where, webhook.body, dict(webhook.headers)) == ("acme/mail-main", mail.body, mail.headers)
    assert len(found.records) == 1


async def test_what_kafka_did_not_acknowledge_comes_again() -> None:
    taking = Taking("later", "taken")
    async with listening(taking) as place:
        mail = say(channel_at(1), Said("ada@byron.example", "Hi", None, 7, NOW))
        with pytest.raises(HandOverError, match=r"^451 4\.3\.0"):
            await hand_over(*place, mail)
        await hand_over(*place, mail)

    assert len(taking.taken) == 2


async def test_each_recipient_is_answered_alone() -> None:
    port, taking = free_port(), Taking("taken", "later", "taken")
    others = [{"channel_id": f"mail-{name}", "from": f"{name}@acme.example"} for name in ("sales", "press")]
    channels = [channel_at(port), *(channel_at(port, **other) for other in others)]
    recipients = [HELP, "nobody@acme.example", "SALES@Acme.example", HELP, "press@acme.example", "ada@xn--.example"]
    async with listening(taking, channels) as place, connected(place) as client:
        replies = await client.begins(*recipients)
        await client.says("DATA")
        answers = [await client.says("Subject: Hi", "", "Hi", ".")] + [await client.reply() for _ in range(3)]
        after = await client.says("QUIT")

    assert [reply[:3] for reply in replies] == ["250", "250", "250", "550", "250", "250", "250", "550"]
    assert [answer[:3] for answer in answers] == ["250", "451", "250", "451"]
    assert [where for where, _ in taking.taken] == ["acme/mail-main", "acme/mail-sales"]
    assert after[:3] == "221"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (b".\r\n", b""),
        (b"..\r\n..a\r\n.b\r\n.\r\n", b".\r\n.a\r\nb\r\n"),
        (b"a\n.\nMAIL FROM:<x@y.example>\r\n.\r\n", b"a\n.\nMAIL FROM:<x@y.example>\r\n"),
        (b"a\r\n.\n\r.\r\n.\r\n", b"a\r\n\n\r.\r\n"),
        (b"\0\xff\r\r\n.\r\n", b"\0\xff\r\r\n"),
        (
            b"x" * 300_000 + b"\r\n" + b"." * 400_000 + b"\r\n.\r\n",
            b"x" * 300_000 + b"\r\n" + b"." * 399_999 + b"\r\n",
        ),
    ],
    ids=["nothing", "dots", "line feeds", "carriage returns", "any bytes", "long lines"],
)
async def test_a_mail_comes_byte_for_byte(sent: bytes, kept: bytes) -> None:
    taking = Taking()
    async with listening(taking) as place, connected(place) as client:
        await client.begins(HELP)
        await client.says("DATA")
        answer = await client.says(sent.removesuffix(b"\r\n"))
        goodbye = await client.says("QUIT")

    assert (answer[:3], goodbye[:3]) == ("250", "221")
    assert taking.bodies == [kept]


async def test_a_mail_without_sender_is_taken() -> None:
    taking = Taking()
    async with listening(taking) as place, connected(place) as client:
        await client.begins(HELP, sender="")
        await client.says("DATA")
        await client.says("Hi", ".")

    assert taking.taken[0][1].headers == {"x-envelope-from": "", "x-envelope-to": HELP}


@pytest.mark.parametrize("mail", [b"x" * 998 + b"\r\n", b"\r\n"], ids=["more than 40 MiB", "more than a million lines"])
async def test_a_mail_that_is_too_large_is_refused_for_each_recipient(mail: bytes) -> None:
    port, taking = free_port(), Taking()
    channels = [channel_at(port), channel_at(port, channel_id="mail-sales", **{"from": "sales@acme.example"})]
    async with listening(taking, channels) as place, connected(place) as client:
        await client.begins(HELP, "sales@acme.example")
        await client.says("DATA")
        for _ in range(42 if len(mail) > 2 else 5):
            client.writer.write(mail * (1_048_576 // 1_000 if len(mail) > 2 else 250_000))
            await client.writer.drain()
        answers = [await client.says("."), await client.reply()]
        again = await client.says("MAIL FROM:<ada@byron.example>")

    assert [answer[:9] for answer in answers] == ["552 5.3.4", "552 5.3.4"]
    assert (again[:3], taking.taken) == ("250", [])


async def test_a_size_that_is_announced_is_judged_at_once() -> None:
    async with listening(Taking()) as place, connected(place) as client:
        await client.reply()
        await client.says("LHLO mx")
        reply = await client.says(f"MAIL FROM:<ada@byron.example> SIZE={MAX_MAIL + 1}")

    assert reply[:3] == "552"


async def test_the_mails_of_all_connections_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lmtp, "_HELD_BYTES", 1_000)
    taking = Taking()
    async with listening(taking) as place, connected(place) as first, connected(place) as second:
        taking.may_answer.clear()
        answers = []
        for client in (first, second):
            await client.begins(HELP)
            await client.says("DATA")
        first.writer.write(b"x" * 600 + b"\r\n.\r\n")
        await asyncio.wait_for(taking.began.wait(), 20)
        answers.append(await second.says("x" * 600, "."))
        taking.may_answer.set()
        answers.append(await first.reply())
        await second.says("MAIL FROM:<ada@byron.example>")
        await second.says(f"RCPT TO:<{HELP}>")
        await second.says("DATA")
        answers.append(await second.says("x" * 600, "."))

    assert [answer[:3] for answer in answers] == ["452", "250", "250"]


async def test_connections_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lmtp, "MOST_CONNECTIONS", 1)
    async with listening(Taking()) as place:
        async with connected(place) as first, connected(place) as second:
            replies = [await first.reply(), await second.reply()]
        await asyncio.sleep(0.05)
        async with connected(place) as third:
            replies.append(await third.reply())

    assert [reply[:3] for reply in replies] == ["220", "421", "220"]


async def test_an_error_ends_the_connection_and_not_the_server() -> None:
    taking = Taking("fails", "taken")
    async with listening(taking) as place:
        async with connected(place) as client:
            await client.begins(HELP)
            await client.says("DATA")
            answers = [await client.says("Hi", "."), await client.reply()]
        await hand_over(*place, say(channel_at(1), Said("ada@byron.example", "Hi", None, 7, NOW)))

    assert [answer[:3] for answer in answers] == ["451", "421"]


async def test_stopping_finishes_the_mail_that_is_read_and_ends_the_others() -> None:
    taking = Taking()
    taking.may_answer.clear()
    async with connected_until_stopped(taking) as (busy, idle, stop):
        await busy.begins(HELP)
        await idle.reply()
        await busy.says("DATA")
        busy.writer.write(b"Hi\r\n.\r\n")
        await asyncio.wait_for(taking.began.wait(), 20)
        stop.set()
        ended = await idle.reply()
        taking.may_answer.set()
        answers = [await busy.reply(), await busy.reply()]

    assert (ended[:3], [answer[:3] for answer in answers]) == ("421", ["250", "421"])


def test_the_event_loop_of_the_process_does_the_same() -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(test_stopping_finishes_the_mail_that_is_read_and_ends_the_others())
        runner.run(test_each_recipient_is_answered_alone())
        runner.run(test_an_error_ends_the_connection_and_not_the_server())


@asynccontextmanager
async def connected_until_stopped(taking: Taking) -> AsyncIterator[tuple[Client, Client, asyncio.Event]]:
    port, stop, ready = free_port(), asyncio.Event(), asyncio.Event()
    serving = asyncio.create_task(serve_lmtp([channel_at(port)], taking, stop, ready.set))
    await asyncio.wait_for(ready.wait(), 20)
    async with connected(("127.0.0.1", port)) as one, connected(("127.0.0.1", port)) as other:
        yield one, other, stop
    await asyncio.wait_for(serving, 20)


async def test_commands_of_smtp_and_wrong_order_are_refused() -> None:
    async with listening(Taking()) as place, connected(place) as client:
        await client.reply()
        commands = ["EHLO mx", "MAIL FROM:<a@b.example>", "LHLO mx", "DATA", "RCPT TO:<x@y.example>", "x" * 70_000]
        replies = [await client.says(command) for command in commands]

    assert [reply[:3] for reply in replies] == ["500", "503", "250", "503", "503", "500"]


async def test_an_address_that_is_taken_refuses_to_start() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        with pytest.raises(SettingsError, match="`listen`: 127.0.0.1:[0-9]+ is not available"):
            await serve_lmtp([channel_at(sock.getsockname()[1])], Taking(), asyncio.Event())


async def test_two_channels_with_one_address_refuse_to_start() -> None:
    channels = [channel_at(1), channel_at(1, channel_id="other", **{"from": "HELP@acme.example"})]
    with pytest.raises(SettingsError, match="acme/mail-main and acme/other have one `from`"):
        await serve_lmtp(channels, Taking(), asyncio.Event())
