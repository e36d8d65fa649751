"""`sluice status`: lag in records and seconds, rates, workers and jobs, once and again and again."""

import asyncio
import json
import os
import pty
import signal
import socket
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from asyncpg import Pool

from schemas.topics import INPUTS
from tests.cli.commands import SLUICE, Sluice
from tests.support.brokers import Broker
from tests.support.databases import until
from tests.support.processes import at_work, settings_for
from workers.app.composition import plan_of
from workers.cli import status
from workers.errors import ExitCode
from workers.rules import lag
from workers.rules.lag import Applied

TOPIC = "messages.inbound"
NOW = datetime(2026, 3, 1, tzinfo=UTC)


async def rows(settings: Any, before: Applied | None = None) -> tuple[dict[int, Any], dict[str, Any]]:
    """The rows of the topic by partition, and all tables of one look."""
    now = await status.look(settings)
    tables = {
        name: [dict(row) for row in found] for name, found in status.report(before or now.applied, now).tables.items()
    }
    return {row["partition"]: row for row in tables["progress"] if row["topic"] == TOPIC}, tables


async def test_records_that_no_worker_reads_are_lag(database: str, broker: Broker) -> None:
    await broker.create(*(spec.name for spec in INPUTS))
    await broker.produce(TOPIC, [(b"k", b"1")] * 3, partition=1)
    await asyncio.sleep(1.1)

    partitions, tables = await rows(settings_for(database, broker))

    assert [partitions[n]["lag"] for n in range(4)] == [0, 3, 0, 0]
    assert 1.0 <= partitions[1]["lag_s"] < 60
    assert (partitions[0]["lag_s"], partitions[1]["owner"], partitions[1]["per_second"]) == (0.0, None, None)
    assert (tables["workers"], tables["not known"]) == ([], [])


async def test_workers_say_where_they_run_since_when_and_what_they_have(
    database: str, broker: Broker, pool: Pool
) -> None:
    settings = settings_for(database, broker)
    async with at_work(database, broker, plan_of(["inbound", "upkeep"])):
        before = (await status.look(settings)).applied
        await broker.produce(TOPIC, [(b"k", b"no message, but a record")] * 5, partition=2)
        await until(pool, "SELECT EXISTS (SELECT FROM sluice.partitions WHERE partition = 2 AND next_offset = 5)")
        partitions, tables = await rows(settings, before)

    assert partitions[2]["working"]
    assert (partitions[2]["lag"], partitions[2]["lag_s"], partitions[2]["next_offset"]) == (0, 0.0, 5)
    [worker] = tables["workers"]
    assert (worker["host"], worker["pid"], worker["version"]) == (socket.gethostname(), os.getpid(), version("sluice"))
    assert (worker["workers"], worker["partitions"]) == (["inbound"], 4)
    assert worker["jobs"] > 3
    assert timedelta(0) < datetime.now(UTC) - worker["since"] < timedelta(hours=1)
    assert [job["name"] for job in tables["jobs"] if job["owner"] and job["name"].startswith("job ")]
    assert (await rows(settings))[1]["workers"] == []


async def test_without_kafka_everything_else_is_shown(database: str, broker: Broker, pool: Pool) -> None:
    await pool.execute(
        "INSERT INTO sluice_core.progress (topic, partition, consumer_group, generation, next_offset)"
        " VALUES ('messages.inbound', 0, 'g-inbound', 1, 5)"
    )
    settings = settings_for(database, broker).model_copy(update={"kafka_bootstrap": None})

    partitions, tables = await rows(settings)

    assert (partitions[0]["next_offset"], partitions[0]["lag"], partitions[0]["lag_s"]) == (5, None, None)
    [unknown] = tables["not known"]
    assert (unknown["what"], "SLUICE_KAFKA_BOOTSTRAP" in unknown["because"]) == ("lag", True)


@pytest.mark.parametrize(
    ("first", "last", "seconds", "rate"),
    [(10, 30, 2, 10.0), (10, 10, 2, 0.0), (None, 30, 2, None), (30, 10, 2, None), (10, 30, 0, None)],
)
def test_a_rate_is_what_was_applied_between_two_looks(
    first: int | None, last: int, seconds: int, rate: float | None
) -> None:
    before = Applied(NOW, {(TOPIC, 0): first})
    after = Applied(NOW + timedelta(seconds=seconds), {(TOPIC, 0): last})

    assert lag.rate(before, after, (TOPIC, 0)) == rate


def test_what_retention_deleted_is_no_lag() -> None:
    assert lag.records(100, 120, 50) == 20
    assert lag.records(100, 120, None) == 20
    assert lag.records(100, 120, 115) == 5


def test_watching_prints_a_line_for_each_look_and_ends_well(database: str, broker: Broker, tmp_path: Path) -> None:
    sluice = Sluice(tmp_path, DATABASE_URL=database, KAFKA_BOOTSTRAP=broker.bootstrap)
    with sluice.running("status", "--watch", "--interval", "0.5", "--json") as running:
        running.until(lambda: running.out.count("\n") >= 3)
        ended = running.stop(signal.SIGINT)

    assert (ended.code, ended.err) == (ExitCode.CLEAN, "")
    assert all({"progress", "workers", "jobs"} <= json.loads(line).keys() for line in ended.out.splitlines())


def test_watching_on_a_terminal_ends_well(database: str, broker: Broker, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")}
    environment |= {"SLUICE_DATABASE_URL": database, "SLUICE_KAFKA_BOOTSTRAP": broker.bootstrap, "TERM": "xterm"}
    ours, theirs = pty.openpty()
    with subprocess.Popen(  # noqa: S603 - our own words
        [SLUICE, "status", "--watch", "--interval", "0.5"], cwd=tmp_path, env=environment, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        shown = _read_until(ours, lambda text: text.count("parked receipts") >= 2)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == ExitCode.CLEAN
    os.close(ours)
    assert "Traceback" not in shown


def _read_until(file: int, done: Callable[[str], bool]) -> str:
    shown = ""
    while not done(shown):
        shown += os.read(file, 4096).decode(errors="replace")
    return shown
