"""`sluice demo`: plays a recorded day through every worker and checks that the figures add up."""

import asyncio
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from asyncpg import Pool
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from console.process import serve
from workers.app import supervisor
from workers.app.composition import ALL, plan_of
from workers.app.memory import tune_memory
from workers.app.settings import Settings
from workers.dev import figures, servers
from workers.dev.console import CONSOLE_PORT, login_link
from workers.dev.feed import Feed
from workers.dev.figures import Check
from workers.dev.month_end import MonthEnd
from workers.dev.recording import DAY, open_day
from workers.dev.relay import listening
from workers.dev.scoreboard import scoreboard
from workers.errors import ExitCode
from workers.process.logs import configure_logging
from workers.process.signals import StopSignal, remembered
from workers.store.pool import pool_of

_READY_S: Final = 60.0
# The demo's own settings, whatever the environment has for other servers.
_SETTINGS: Final = {"topic_prefix": "", "group_prefix": "demo", "metrics_port": None, "fetch_max_wait_ms": 20}
# The demo keeps no data, so durability is off.
_POSTGRES: Final = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def demo(*, stay: bool = False) -> ExitCode:
    """Plays the day and prints the results; CLEAN only if every figure reconciles.

    With `stay` everything stays up, with a console, until a signal asks to stop.
    """
    configure_logging("console", "error")
    tune_memory()
    console = Console()
    console.print("Starting PostgreSQL and a broker on this machine …")
    with (
        remembered() as asked,
        tempfile.TemporaryDirectory(prefix="sluice-demo-", ignore_cleanup_errors=True) as folder,
        servers.embedded_servers(Path(folder), _POSTGRES, **_SETTINGS) as settings,
    ):
        return asyncio.run(_run(settings, console, asked, stay=stay))


async def _run(settings: Settings, console: Console, asked: StopSignal, *, stay: bool) -> ExitCode:
    await servers.prepare(settings)
    stop, ready = asked.event(), asyncio.Event()
    working = asyncio.create_task(supervisor.run(settings, plan_of([ALL]), stop, ready=ready.set))
    async with pool_of(settings.required_database_url(), name="demo") as pool:
        playing = asyncio.create_task(_play(settings, pool, ready, console))
        await asyncio.wait({working, playing}, return_when=asyncio.FIRST_COMPLETED)
        if not playing.done():
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)
            return _unfinished(console, await working)
        seconds = playing.result()
        if not stay:
            stop.set()
            await asyncio.wait({working})
        async with pool.acquire() as connection, connection.transaction():
            found = await figures.read(connection)
    console.print(scoreboard(found, DAY))
    console.print(
        f"\n{DAY.records:,} records in {seconds:.1f} s: {DAY.records / seconds:,.0f} a second.", highlight=False
    )
    adds_up = reconciled(console, figures.checks(found, DAY))
    if stay:
        await _stay(settings, console, stop)
    return await working or adds_up


async def _stay(settings: Settings, console: Console, stop: asyncio.Event) -> None:
    """Serves a console of the day until stopped."""
    with listening(None, CONSOLE_PORT, "--port") as sock:
        link = await login_link(settings, sock)
        lines = (
            f"\nThe console: {link}",
            f"  SLUICE_DATABASE_URL={settings.required_database_url()}",
            f"  SLUICE_KAFKA_BOOTSTRAP={settings.kafka().bootstrap}",
            "It stays up until Ctrl-C.",
        )
        console.print("\n".join(lines), highlight=False, soft_wrap=True, markup=False)
        await serve(settings, sock, stop)


async def _play(settings: Settings, pool: Pool, ready: asyncio.Event, console: Console) -> float:
    await asyncio.wait_for(ready.wait(), _READY_S)
    columns = (
        TextColumn("A day of messages"),
        BarColumn(),
        TextColumn("{task.completed:,} of {task.total:,}"),
        TimeElapsedColumn(),
    )
    started = time.perf_counter()
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=DAY.records)
        async with Feed(settings.kafka().bootstrap, pool) as feed:
            month_end = MonthEnd(pool)
            before = month_end.keep_open()
            await feed.add(before, month_end.adjusted)
            await feed.play(open_day(), lambda applied: progress.update(task, completed=applied - len(before)))
            seconds = time.perf_counter() - started
            await feed.add(month_end.shorten(), month_end.closed)
            await feed.add(await month_end.late(), month_end.adjusted)
    return seconds


def _unfinished(console: Console, ended: ExitCode) -> ExitCode:
    if ended is ExitCode.CLEAN:
        console.print("[red]Stopped before the day was over.")
        return ExitCode.FAULT
    console.print("[red]A worker ended before the day was over; see the reason above.")
    return ended


def reconciled(console: Console, checks: Sequence[Check]) -> ExitCode:
    """Prints whether the figures add up, and which do not."""
    wrong = [check for check in checks if not check.holds]
    for check in wrong:
        console.print(f"[red]Does not add up:[/] {check.name}: {check.left:,} against {check.right:,}", highlight=False)
    if wrong:
        return ExitCode.FAULT
    console.print(f"[green]All {len(checks)} figures add up.", highlight=False)
    return ExitCode.CLEAN
