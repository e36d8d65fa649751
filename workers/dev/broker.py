"""An embedded Kafka broker: librdkafka's mock cluster, in this process and in memory.

It supports consumer groups and the idempotent producer. It creates a topic with four partitions on the first request
for it. It keeps nothing after its end, and it silently drops a partition's oldest record sets beyond 5 MiB or 100,000
sets.
"""

import asyncio
import socket
import struct
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Final

import structlog

from workers.dev.mock import mock_cluster
from workers.dev.relay import LOOPBACK, Pump, Reader, Writer, port_of, relayed

PARTITIONS: Final = 4
UNREAD_LIMIT_BYTES: Final = 4 * 1024 * 1024
"""Maximum unread bytes of a partition before a producer has to wait."""

# Metadata requests of these versions end with the flag that allows to create topics, in fields of fixed width.
_METADATA: Final = 3
_VERSIONS: Final = (4, 8)
_LARGEST_REQUEST: Final = 64 * 1024 * 1024
_LOGGED: Final = 1000

log = structlog.get_logger()


@contextmanager
def embedded_broker() -> Iterator[str]:
    """Runs a broker and yields its bootstrap address; it ends with the context. Needs the extra `embedded`.

    Raises:
        SetupError: the extra is not installed.
    """
    with mock_cluster() as cluster:
        yield cluster.address


@contextmanager
def guarded_broker(bound: socket.socket, topics: Collection[str]) -> Iterator[None]:
    """As `embedded_broker`, at a listening socket, with only these topics: other topics are unknown to clients, and the
    log says so.

    Raises:
        SetupError: the extra is not installed.
    """
    with mock_cluster() as cluster:
        cluster.advertise(LOOPBACK, port_of(bound))
        cluster.speak_metadata(*_VERSIONS)
        for topic in topics:
            cluster.make(topic, PARTITIONS)
        host, port = cluster.address.split(":")
        with relayed(bound, lambda: asyncio.open_connection(host, int(port)), _guard(topics)):
            yield


def _guard(topics: Collection[str]) -> Pump:
    logged: set[str] = set()

    def unknown(name: str) -> None:
        if name in logged or len(logged) == _LOGGED:
            return
        logged.add(name)
        nearest = get_close_matches(name, topics, 1)
        hint = f" Is it meant to be {nearest[0]}?" if nearest else ""
        log.warning(
            f"A client uses a topic that does not exist: its writes are refused.{hint}",
            action="unknown_topic",
            topic=name,
            nearest=nearest[0] if nearest else None,
        )

    async def inward(reader: Reader, writer: Writer) -> None:
        while True:
            size = await reader.readexactly(4)
            length = int.from_bytes(size)
            if length > _LARGEST_REQUEST:
                return  # this is not Kafka's protocol
            writer.write(size + amended(await reader.readexactly(length), topics, unknown))
            await writer.drain()

    return inward


def amended(request: bytes, topics: Collection[str], unknown: Callable[[str], None]) -> bytes:
    """A request for the broker: changed so that it creates no unknown topics. `unknown` receives their names."""
    if len(request) < 14 or struct.unpack_from(">h", request)[0] != _METADATA:
        return request
    (version,) = struct.unpack_from(">h", request, 2)
    if not _VERSIONS[0] <= version <= _VERSIONS[1]:
        return request
    try:
        names, end = _asked_for(request)
    except (struct.error, UnicodeDecodeError):
        return request
    foreign = [name for name in names if name not in topics and end < len(request)]
    for name in foreign:
        unknown(name)
    return request[:end] + b"\0" + request[end + 1 :] if foreign else request


def _asked_for(request: bytes) -> tuple[list[str], int]:
    (client,) = struct.unpack_from(">h", request, 8)
    at = 10 + max(client, 0)
    (count,) = struct.unpack_from(">i", request, at)
    at += 4
    names = []
    for _ in range(count):  # -1: all topics
        (length,) = struct.unpack_from(">h", request, at)
        names.append(request[at + 2 : at + 2 + length].decode())
        at += 2 + length
    return names, at
