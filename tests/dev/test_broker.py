"""The broker of `sluice dev`: on its own port, with only Sluice's topics, for any client."""

import asyncio
import struct
from collections.abc import Iterator, Sequence

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaTimeoutError, UnknownTopicOrPartitionError
from structlog.testing import capture_logs

from workers.dev.broker import amended, guarded_broker
from workers.dev.relay import LOOPBACK, listening, port_of, relayed
from workers.errors import SettingsError

TOPICS = {"messages.inbound", "messages.outbound"}


@pytest.fixture
def bootstrap() -> Iterator[str]:
    with listening(None, 0, "--kafka-port") as bound, guarded_broker(bound, TOPICS):
        yield f"{LOOPBACK}:{port_of(bound)}"


def metadata(names: Sequence[str] | None, version: int = 5, client: str | None = "someone") -> bytes:
    """A request as clients send it; topics may be made."""
    head = struct.pack(">hhi", 3, version, 7)
    head += struct.pack(">h", -1) if client is None else struct.pack(">h", len(client)) + client.encode()
    topics = struct.pack(">i", -1) if names is None else struct.pack(">i", len(names))
    for name in names or ():
        topics += struct.pack(">h", len(name.encode())) + name.encode()
    return head + topics + b"\1" + (b"\0\0" if version == 8 else b"")


async def test_the_port_is_where_clients_are_led(bootstrap: str) -> None:
    async with (
        AIOKafkaProducer(bootstrap_servers=bootstrap) as producer,
        AIOKafkaConsumer("messages.inbound", bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer,
    ):
        await producer.send_and_wait("messages.inbound", b"here")
        assert (await asyncio.wait_for(consumer.getone(), 20)).value == b"here"
        assert {broker.port for broker in producer.client.cluster.brokers()} == {int(bootstrap.split(":")[1])}


async def test_the_first_member_of_a_group_does_not_wait_for_others(bootstrap: str) -> None:
    async with asyncio.timeout(2.5), AIOKafkaConsumer("messages.inbound", bootstrap_servers=bootstrap, group_id="g"):
        pass  # it has its partitions


async def test_a_topic_that_is_not_ours_is_unknown_and_does_not_come_into_being(bootstrap: str) -> None:
    with capture_logs() as logs:
        async with AIOKafkaProducer(bootstrap_servers=bootstrap, request_timeout_ms=1000) as producer:
            for _ in range(2):
                with pytest.raises((UnknownTopicOrPartitionError, KafkaTimeoutError)):
                    await producer.send("messages.inbuond", b"lost")
            await producer.send_and_wait("messages.inbound", b"here")
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap) as consumer:
        assert await consumer.topics() == TOPICS
    assert [(log["topic"], log["nearest"]) for log in logs if log.get("action") == "unknown_topic"] == [
        ("messages.inbuond", "messages.inbound")
    ]


@pytest.mark.parametrize("version", [4, 5, 8])
@pytest.mark.parametrize("client", ["someone", "", None])
def test_asking_for_a_topic_that_is_not_ours_makes_none(version: int, client: str | None) -> None:
    unknown: list[str] = []
    request = metadata(["messages.inbound", "nowhere", "niemals-ü"], version, client)
    seen = amended(request, TOPICS, unknown.append)

    assert unknown == ["nowhere", "niemals-ü"]
    [at] = [n for n, (before, after) in enumerate(zip(request, seen, strict=True)) if before != after]
    assert (request[at], seen[at]) == (1, 0)
    assert at == len(request) - (3 if version == 8 else 1)


@pytest.mark.parametrize(
    "request_",
    [
        metadata(["messages.inbound"]),
        metadata([]),
        metadata(None),
        metadata(["nowhere"], version=9),
        struct.pack(">hhi", 0, 5, 7) + metadata(["nowhere"])[8:],
        metadata(["nowhere"])[:24],
        b"",
        b"\0\3\0\5",
    ],
    ids=["ours", "none", "all", "later version", "other request", "cut off", "empty", "short"],
)
def test_everything_else_is_passed_on_as_it_is(request_: bytes) -> None:
    unknown: list[str] = []
    assert amended(request_, TOPICS, unknown.append) == request_
    assert unknown == []


async def test_who_speaks_another_protocol_is_hung_up_on(bootstrap: str) -> None:
    host, port = bootstrap.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    assert await asyncio.wait_for(reader.read(), 20) == b""
    writer.close()


def test_a_port_that_is_taken_is_refused_if_it_was_asked_for() -> None:
    with listening(None, 0, "--kafka-port") as first:
        with pytest.raises(SettingsError, match=f"--kafka-port {port_of(first)} cannot be used"):
            listening(port_of(first), 0, "--kafka-port").__enter__()
        with listening(None, port_of(first), "--kafka-port") as other:
            assert port_of(other) not in (0, port_of(first))


async def test_what_is_open_when_a_relay_ends_is_closed() -> None:
    async def nobody() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        raise ConnectionRefusedError

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
        writer.close()

    server = await asyncio.start_server(echo, LOOPBACK, 0)
    inner = server.sockets[0].getsockname()[1]
    with listening(None, 0, "--x") as bound, listening(None, 0, "--y") as refusing:
        with relayed(bound, lambda: asyncio.open_connection(LOOPBACK, inner)), relayed(refusing, nobody):
            reader, writer = await asyncio.open_connection(LOOPBACK, port_of(bound))
            writer.write(b"hello\n")
            assert await reader.readline() == b"hello\n"
            refused, other = await asyncio.open_connection(LOOPBACK, port_of(refusing))
            assert await asyncio.wait_for(refused.read(), 20) == b""
            other.close()
        assert await asyncio.wait_for(reader.read(), 20) == b""
        writer.close()
    server.close()
