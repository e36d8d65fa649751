"""Many requests a second: pages of lists, questions and commands, at an even rate, whatever the answers take."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import cycle
from statistics import median, quantiles
from typing import Final
from uuid import uuid4

import aiohttp

from benchmarks.console.serving import Served, cpu_s
from benchmarks.reading.asking import Place

_READS: Final = (
    "/contacts?limit=50",
    "/holds",
    "/mac",
    "/audit",
    "/contacts/{contact}",
    "/contacts/{contact}/messages",
    "/may-send?contact_id={contact}&channel=whatsapp",
    "/impact?command=block_contact&contact_id={contact}",
)
_COMMANDS_OF: Final = 10  # one request in so many


async def measured(
    console: Served, tokens: Sequence[str], place: Place, rate: int, seconds: float
) -> Mapping[str, float]:
    """Percentiles in milliseconds from when each request was due, and how many had another status than 200."""
    read_ms: list[float] = []
    command_ms: list[float] = []
    others: Counter[int] = Counter()
    names = cycle(tokens)

    async def one(client: aiohttp.ClientSession, number: int, due: float) -> None:
        headers = {"authorization": f"Bearer {next(names)}"}
        at, contact = f"/api/v1/workspaces/{place.workspace}", place.contact(number)
        if number % _COMMANDS_OF == 0:
            body = {
                "command": "add_tag",
                "command_id": str(uuid4()),
                "contact_id": str(contact),
                "tag": f"t{number % 9}",
            }
            asking = client.post(f"{at}/commands", json=body, headers=headers)
        else:
            path = _READS[number % len(_READS)].format(contact=contact)
            asking = client.get(f"{at}{path}", headers=headers)
        async with asking as answer:
            await answer.read()
        took = command_ms if number % _COMMANDS_OF == 0 else read_ms
        took.append(1000 * (time.perf_counter() - due))
        if answer.status != 200:
            others[answer.status] += 1

    # httpx would take more of the processor for its connections than the console for its answers.
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        aiohttp.ClientSession(console.url, connector=connector) as client,
        asyncio.TaskGroup() as together,
    ):
        began, computed = time.perf_counter(), cpu_s(console.process)
        for number in range(int(rate * seconds)):
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            together.create_task(one(client, number, due))
    requests = len(read_ms) + len(command_ms)
    found = {
        "requests": float(requests),
        "answered a second": requests / (time.perf_counter() - began),
        "console, CPU ms a request": 1000 * (cpu_s(console.process) - computed) / requests,
    }
    for name, times in (("reads", read_ms), ("commands", command_ms)):
        cuts = quantiles(times, n=100, method="inclusive")
        found |= {f"{name}, p50 ms": median(times), f"{name}, p95 ms": cuts[94], f"{name}, p99 ms": cuts[98]}
    return found | {f"status {status}": float(number) for status, number in sorted(others.items())}
