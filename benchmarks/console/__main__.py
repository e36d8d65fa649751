"""Measures every page and call over HTTP, by one client; streams beside many events; many requests at once."""

import argparse
import asyncio
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median, quantiles
from typing import Final

import httpx
from rich.console import Console
from rich.table import Table

from benchmarks.console import load, streams
from benchmarks.console.asked import Asked, asked
from benchmarks.console.serving import Served, served, tokens
from benchmarks.reading.asking import Place, large, now_of
from benchmarks.reading.data import filled

SLOW_MS: Final = 100
_TIMES: Final = 20
_STREAMS_OF_A_TOKEN: Final = 10
_REQUESTS_OF_A_TOKEN: Final = 25
_FOLDER: Final = Path(__file__).parents[1] / "results"


def main() -> None:
    """Measures and prints tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.console", description=__doc__)
    parser.add_argument("--scale", type=float, default=0.1, help="1: a million contacts, ten million messages")
    parser.add_argument("--only", choices=("pages", "streams", "load"))
    parser.add_argument("--streams", type=int, default=500)
    parser.add_argument("--rate", type=int, default=1_000, help="events a second, in a hundred workspaces")
    parser.add_argument("--requests", type=int, default=200, help="requests a second")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--folder", type=Path, default=_FOLDER, help="where the data is kept from run to run")
    told = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 140)
    with filled(told.folder, told.scale, console.print) as data, served(data.url) as running:
        place = large(data.contacts, now_of(data.now))
        if told.only in (None, "pages"):
            asyncio.run(_pages(running, place, print))
        if told.only in (None, "streams"):
            some = asyncio.run(tokens(data.url, running, -(-told.streams // _STREAMS_OF_A_TOKEN)))
            _show(console, asyncio.run(streams.measured(running, some, told.streams, told.rate, told.seconds)))
        if told.only in (None, "load"):
            some = asyncio.run(tokens(data.url, running, told.requests // _REQUESTS_OF_A_TOKEN + 1))
            _show(console, asyncio.run(load.measured(running, some, place, told.requests, told.seconds)))


def _show(console: Console, found: Mapping[str, float]) -> None:
    table = Table("what", "")
    for name, value in found.items():
        table.add_row(name, f"{value:,.1f}")
    console.print(table)


async def _pages(running: Served, place: Place, say: Callable[[str], None]) -> None:
    say(f"{place.contacts:,} contacts: status, milliseconds (p50, p95), KiB")
    async with running.client() as client:
        for one in asked():
            status, times, size = await _times(client, one, place)
            p95 = quantiles(times, n=20, method="inclusive")[-1]
            mark = "!" if p95 > SLOW_MS or status >= 400 else " "
            say(f"{mark} {one.name:<64} {status} {median(times):>9,.1f} {p95:>9,.1f} {size / 1024:>6,.0f}")


async def _times(client: httpx.AsyncClient, one: Asked, place: Place) -> tuple[int, list[float], int]:
    """The highest status, the milliseconds of each time, and the largest answer in bytes."""
    times: list[float] = []
    status = size = 0
    while len(times) < _TIMES:
        address = one.address(place, len(times))
        began = time.perf_counter()
        answer = await client.get(address)
        took = 1000 * (time.perf_counter() - began)
        if answer.status_code == 429:
            await asyncio.sleep(float(answer.headers["retry-after"]))
            continue
        status, size = max(status, answer.status_code), max(size, len(answer.content))
        times.append(took)
        if took > 10 * SLOW_MS:
            times += [took] * (_TIMES - len(times))
    return status, times, size


if __name__ == "__main__":
    main()
