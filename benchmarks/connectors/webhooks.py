"""Posts webhooks as fast as they are answered, or at a rate: `python -m benchmarks.connectors.webhooks PORT COUNT
CONNECTIONS RATE`. Prints a JSON line: seconds, answers by status, and latencies in ms.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Final

TOKEN: Final = "bench-token"  # noqa: S105 - of a channel that nobody else has
PATH: Final = "/webhooks/bench/telegram"


def bodies(count: int, first: int) -> Iterator[bytes]:
    """Webhooks of Telegram with a message each, of a thousand people."""
    for number in range(first, first + count):
        person = {"id": number % 1000 + 1, "first_name": "Ada"}
        yield json.dumps(
            {
                "update_id": number,
                "message": {
                    "message_id": number,
                    "from": person | {"is_bot": False, "language_code": "en"},
                    "chat": person | {"type": "private"},
                    "date": int(time.time()),
                    "text": f"Where is my order {number}? I have been waiting for three days now.",
                },
            }
        ).encode()


def requests(count: int, first: int) -> Iterator[bytes]:
    """The same as HTTP requests."""
    for body in bodies(count, first):
        head = (
            f"POST {PATH} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            f"x-telegram-bot-api-secret-token: {TOKEN}\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        yield head.encode() + body


class _Connection(asyncio.Protocol):
    """Sends the next request when the last one is answered. Answers have no body."""

    def __init__(self, load: "_Load") -> None:
        self._load = load
        self._began = 0.0
        self._got = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._load.idle.append(self)
        self._load.fill()

    def send(self, request: bytes) -> None:
        self._began = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._got += data
        if b"\r\n\r\n" not in self._got:
            return
        status, self._got = self._got[9:12].decode(), b""
        self._load.answered(status, (time.perf_counter() - self._began) * 1000)
        self._load.idle.append(self)
        self._load.fill()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's name
        if not self._load.done.is_set():
            self._load.done.set()


class _Load:
    def __init__(self, waiting: list[bytes], rate: float) -> None:
        self.waiting = waiting
        self.left = len(waiting)
        self.idle: list[_Connection] = []
        self.statuses: Counter[str] = Counter()
        self.latencies: list[float] = []
        self.done = asyncio.Event()
        self._rate = rate
        self._began = time.perf_counter()
        self._sent = 0

    def fill(self) -> None:
        while self.idle and self.waiting:
            if self._rate:
                due_in = self._began + self._sent / self._rate - time.perf_counter()
                if due_in > 0:
                    asyncio.get_running_loop().call_later(due_in, self.fill)
                    return
            self._sent += 1
            self.idle.pop().send(self.waiting.pop())

    def answered(self, status: str, milliseconds: float) -> None:
        self.statuses[status] += 1
        self.latencies.append(milliseconds)
        self.left -= 1
        if not self.left:
            self.done.set()


async def post(port: int, count: int, connections: int, rate: float) -> dict[str, object]:
    """Posts and measures."""
    loop = asyncio.get_running_loop()
    load = _Load(list(requests(count, time.time_ns() // 1_000_000)), rate)
    began = time.perf_counter()
    made = [await loop.create_connection(lambda: _Connection(load), "127.0.0.1", port) for _ in range(connections)]
    await asyncio.wait_for(load.done.wait(), 300)
    seconds = time.perf_counter() - began
    for transport, _ in made:
        transport.close()
    ordered = sorted(load.latencies)
    return {
        "seconds": seconds,
        "statuses": dict(load.statuses),
        **{f"p{part}": ordered[min(len(ordered) - 1, len(ordered) * part // 100)] for part in (50, 99)},
    }


if __name__ == "__main__":
    port_, count_, connections_ = map(int, sys.argv[1:4])
    print(json.dumps(asyncio.run(post(port_, count_, connections_, float(sys.argv[4])))))
