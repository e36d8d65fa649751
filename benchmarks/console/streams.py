"""Streams of events beside many events: how late they come, and what they cost."""

import asyncio
import time
from collections.abc import Iterator
from statistics import median, quantiles
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from aiokafka import AIOKafkaProducer

from benchmarks.console.serving import Served, cpu_s, memory_mib
from schemas.outputs import ENCODER, CommandResult

WORKSPACES: Final = 100
_PAUSE_S: Final = 0.05


class _Heard:
    """How late the events came, in milliseconds, and how many streams ended."""

    def __init__(self) -> None:
        self.sent: dict[str, float] = {}
        self.late: list[float] = []
        self.ended = 0


async def measured(console: Served, tokens: list[str], streams: int, rate: int, seconds: float) -> dict[str, float]:
    """`streams` of 100 workspaces, beside `rate` events a second in them."""
    heard = _Heard()
    async with AIOKafkaProducer(bootstrap_servers=console.bootstrap, acks="all") as producer:
        listeners = [
            asyncio.create_task(_listen(console, f"tenant-{n % WORKSPACES}", tokens[n * len(tokens) // streams], heard))
            for n in range(streams)
        ]
        await asyncio.sleep(5)
        before = cpu_s(console.process)
        began = time.monotonic()
        await _tell(producer, heard, rate, seconds)
        took = time.monotonic() - began
        computed = cpu_s(console.process) - before
        await asyncio.sleep(2)
        for listener in listeners:
            listener.cancel()
        await asyncio.gather(*listeners, return_exceptions=True)
    if not heard.late:
        raise SystemExit("no event came")
    return {
        "events a second": len(heard.sent) / took,
        "told, of those to tell, %": 100 * len(heard.late) / (len(heard.sent) * streams / WORKSPACES),
        "late: p50 ms": median(heard.late),
        "late: p95 ms": quantiles(heard.late, n=20)[-1],
        "streams that ended": heard.ended,
        "processor of the console, %": 100 * computed / took,
        "memory of the console, MiB": memory_mib(console.process),
    }


async def _listen(console: Served, workspace: str, token: str, heard: _Heard) -> None:
    """As little work as possible: listeners share the machine with the console."""
    place = urlsplit(console.url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    path = f"/api/v1/workspaces/{workspace}/events"
    writer.write(f"GET {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\n\r\n".encode())
    try:
        answer = await reader.readline()
        if b" 200 " not in answer:
            raise SystemExit(f"a stream was refused: {answer!r}")
        async for line in reader:  # no event is divided between chunks
            if line.startswith(b"data: ") and (at := line.find(b'"command_id":"')) > 0:
                sent = heard.sent.get(line[at + 14 : at + 50].decode())
                if sent is not None:
                    heard.late.append(1000 * (time.monotonic() - sent))
        heard.ended += 1
    finally:
        writer.close()


async def _tell(producer: Any, heard: _Heard, rate: int, seconds: float) -> None:
    began, told = time.monotonic(), 0
    while (now := time.monotonic()) < began + seconds:
        for id_, value in _results(told, int((now - began) * rate)):
            heard.sent[str(id_)] = time.monotonic()
            await producer.send("commands.results", value, str(id_).encode())
            told += 1
        await asyncio.sleep(_PAUSE_S)


def _results(start: int, end: int) -> Iterator[tuple[UUID, bytes]]:
    for n in range(start, end):
        id_ = uuid4()
        told = CommandResult(
            workspace_id=f"tenant-{n % WORKSPACES}",
            command_id=id_,
            command="add_tag",
            outcome="done",
            reason=None,
            detail=None,
            changed={},
        )
        yield id_, ENCODER.encode(told)
