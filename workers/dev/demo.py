"""`sluice demo`: a recorded day through the topics, every worker at work, and figures that must add up."""

import asyncio
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from asyncpg import Pool
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from workers.dev import figures, servers
from workers.dev.feed import Feed
from workers.dev.figures import Check, Figures
from workers.dev.recording import DAY, open_day
from workers.errors import ExitCode
from workers.plans import ALL, plan_of
from workers.runtime import supervisor
from workers.settings import Settings
from workers.store.pool import pool_of

_READY_S: Final = 60.0


def demo(console: Console) -> ExitCode:
    """Plays the day and prints what became of it; CLEAN only if every figure reconciles."""
    with tempfile.TemporaryDirectory(prefix="sluice-demo-", ignore_cleanup_errors=True) as folder:
        console.print("Starting PostgreSQL and a broker in this process …")
        with servers.embedded_servers(Path(folder), log_level="error", fetch_max_wait_ms=20) as settings:
            return asyncio.run(_run(settings, console))


async def _run(settings: Settings, console: Console) -> ExitCode:
    await servers.prepare(settings)
    stop, ready = asyncio.Event(), asyncio.Event()
    working = asyncio.create_task(supervisor.run(settings, plan_of([ALL]), ready=ready.set, stop=stop))
    async with pool_of(settings.required_database_url(), name="demo") as pool:
        playing = asyncio.create_task(_play(settings, pool, ready, console))
        await asyncio.wait({working, playing}, return_when=asyncio.FIRST_COMPLETED)
        if not playing.done():
            playing.cancel()
            console.print("[red]A worker ended before the day was over; its reason is above.")
            return await working or ExitCode.FAULT
        seconds = playing.result()
        stop.set()
        ended = await working
        async with pool.acquire() as connection, connection.transaction():
            found = await figures.read(connection)
    checks = figures.checks(found, DAY)
    _show(console, found, seconds)
    return ended or _reconciled(console, checks)


async def _play(settings: Settings, pool: Pool, ready: asyncio.Event, console: Console) -> float:
    await asyncio.wait_for(ready.wait(), _READY_S)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    started = time.perf_counter()
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("A day of messages", total=DAY.records)
        async with Feed(settings.kafka().bootstrap, pool) as feed:
            await feed.play(open_day(), lambda count: progress.advance(task, count))
    return time.perf_counter() - started


def _show(console: Console, found: Figures, seconds: float) -> None:
    inbound = found.inbound
    table = Table("What became of the day", "", title=None, show_header=True, header_style="bold")
    table.columns[1].justify = "right"
    table.add_row("records in, all topics", f"{DAY.records:,}")
    table.add_row("messages in", f"{DAY.topics['messages.inbound']:,}")
    for name in ("accepted", "dropped", "echoes", "conflicts", "dead"):
        table.add_row(f"  {name}", f"{inbound[name]:,}")
    table.add_row("  duplicates", f"{DAY.inbound['duplicates']:,}")
    _section(table, "dropped, and why", found.tables["dropped"], _dropped, "messages")
    _section(table, "sends", found.tables["sends"], _with_reason("status"), "sends")
    _section(table, "held at some time, and why", found.tables["hold_reasons"], lambda row: row["reasons"], "sends")
    _section(table, "workflow runs", found.tables["runs"], _with_reason("state"), "runs")
    _section(table, "commands", found.tables["commands"], lambda row: row["outcome"], "commands")
    _section(table, "dead letters", found.tables["dead_letters"], lambda row: row["source_topic"], "letters")
    table.add_section()
    table.add_row("records a second, all workers in one process", f"{DAY.records / seconds:,.0f}")
    console.print(table)
    console.print(_mac(found))


def _mac(found: Figures) -> Table:
    table = Table("Monthly active contacts", "cycle", "count", "if nobody were blocked", header_style="bold")
    for column in table.columns[2:]:
        column.justify = "right"
    for row in found.mac:
        everybody = found.recounted.get((row["workspace_id"], row["cycle_start"]), (0, 0))[1]
        cycle = f"{row['cycle_start']:%Y-%m-%d %H:%M} to {row['cycle_end']:%Y-%m-%d %H:%M}"
        if everybody:
            table.add_row(
                row["workspace_id"], cycle, f"{row['active_contacts'] + row['adjustments']:,}", f"{everybody:,}"
            )
    return table


def _section(table: Table, title: str, rows: Any, label: Any, count: str) -> None:
    table.add_section()
    table.add_row(title, f"{sum(row[count] for row in rows):,}")
    for row in rows:
        table.add_row(f"  {label(row)}", f"{row[count]:,}")


def _dropped(row: Mapping[str, Any]) -> str:
    return f"{row['reason']}, {row['rule']}: {'still counts' if row['counted'] else 'does not count'}"


def _with_reason(column: str) -> Any:
    return lambda row: f"{row[column]}: {row['reason']}" if row["reason"] else row[column]


def _reconciled(console: Console, checks: list[Check]) -> ExitCode:
    wrong = [check for check in checks if not check.holds]
    for check in wrong:
        console.print(f"[red]Does not add up:[/] {check.name}: {check.left:,} against {check.right:,}")
    if wrong:
        return ExitCode.FAULT
    console.print(f"[green]All {len(checks)} figures add up.")
    return ExitCode.CLEAN
