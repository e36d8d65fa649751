"""What is logged, and how often."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from contextlib import redirect_stderr
from typing import Any

import pytest
import structlog
from asyncpg import Pool

from tests.runtime.ledgerbook import OUTPUT, TOPIC, book, spec_of
from tests.support.brokers import Broker
from tests.support.processes import settings_for
from workers.app import supervisor
from workers.app.settings import load_settings
from workers.app.supervisor import Plan
from workers.errors import ExitCode
from workers.process.logs import configure_logging


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """What a process logs that logs as a worker does."""
    yield from _logged("info")


@pytest.fixture
def logged_in_detail() -> Iterator[io.StringIO]:
    """The same with everything that there is to be told."""
    yield from _logged("debug")


def _logged(level: str) -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, root_level = root.handlers[:], root.level
    root.handlers.clear()  # configuring closes what it finds
    with redirect_stderr(io.StringIO()) as stream:
        configure_logging("json", level)
        yield stream
    root.handlers[:], root.level = handlers, root_level
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def complaint(sentence: str, broker: str, created: float, name: str = "aiokafka.conn") -> logging.LogRecord:
    record = logging.LogRecord(name, logging.ERROR, __file__, 1, sentence, (broker,), None)
    record.created = created
    return record


@pytest.mark.parametrize("name", ["aiokafka", "aiokafka.conn", "asyncpg.pool"])
def test_what_a_client_complains_of_is_told_in_detail_only(
    name: str, logged: io.StringIO, request: pytest.FixtureRequest
) -> None:
    logging.getLogger(name).handle(complaint("Heartbeat failed for %s", "group", 1_000, name))
    assert lines(logged) == []
    detailed = request.getfixturevalue("logged_in_detail")
    logging.getLogger(name).handle(complaint("Heartbeat failed for %s", "group", 1_000, name))
    assert [line["action"] for line in lines(detailed)] == [f"library_{name.partition('.')[0]}"]


def test_what_a_library_did_not_expect_is_told_always(logged: io.StringIO) -> None:
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        logging.getLogger("aiokafka.consumer.fetcher").exception("Unexpected error in fetcher routine")
    [line] = lines(logged)
    assert (line["action"], line["exception"][0]["exc_type"]) == ("library_aiokafka", "ZeroDivisionError")


@pytest.mark.parametrize("name", ["aiokafka.conn", "asyncio"])
def test_what_a_library_repeats_for_every_request_is_told_once_in_ten_seconds(
    name: str, logged_in_detail: io.StringIO
) -> None:
    for tenth in range(250):
        for sentence in ("no answer from %s", "lost %s"):
            logging.getLogger(name).handle(complaint(sentence, f"broker {tenth}", 1_000 + tenth / 10, name))
    told = [line["event"] for line in lines(logged_in_detail)]
    assert len(told) == 2 * 3
    assert ["broker 100" in line for line in told] == [False, False, True, True, False, False]


async def test_a_process_says_what_it_runs_where_and_how_it_ended(
    database: str, pool: Pool, broker: Broker, logged: io.StringIO
) -> None:
    await book(pool)
    await broker.create(TOPIC, OUTPUT)
    plan = Plan([spec_of()], topics=(TOPIC, OUTPUT), names=("book",))
    settings = settings_for(database.replace("postgres:@", "postgres:geheim@"), broker)
    ready, stop = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(supervisor.run(settings, plan, stop, ready=ready.set))
    await asyncio.wait_for(ready.wait(), 30)
    stop.set()
    assert await asyncio.wait_for(running, 30) is ExitCode.CLEAN

    told = lines(logged)
    assert [line["action"] for line in told] == ["starting", "joining", "taken_over", "ready", "stopping", "ended"]
    assert told[0]["event"] == "Sluice 0.1.0 starts."
    assert (told[0]["workers"], told[0]["groups"]) == (["book"], [f"{broker.group_prefix}-book"])
    assert told[0]["brokers"] == broker.bootstrap
    assert told[0]["database"] == settings.database_place()
    assert (told[2]["worker"], told[2]["partitions"]) == ("book", {TOPIC: [0, 1, 2, 3]})
    assert (told[-1]["event"], told[-1]["exit_code"]) == ("Sluice has ended cleanly.", 0)
    assert "geheim" not in logged.getvalue()


async def test_a_process_that_cannot_start_says_how_it_ended_as_well(logged: io.StringIO, broker: Broker) -> None:
    settings = settings_for("postgresql://somebody:geheim@127.0.0.1:1/none", broker, database_connections=2)
    few = Plan([spec_of()] * 3, topics=())
    assert await supervisor.run(settings, few, asyncio.Event()) is ExitCode.SETUP
    assert [line["action"] for line in lines(logged)] == ["starting", "settingserror", "ended"]
    assert lines(logged)[-1]["exit_code"] == 2
    assert not {"geheim", "somebody"} & set(logged.getvalue().replace(":", "@").split("@"))


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql://u:p@db.example:5432/sluice?sslmode=require", "db.example:5432/sluice"),
        ("postgresql://u:p%40@one:5432,two:5433/d", "one:5432,two:5433/d"),
        ("postgresql://postgres:@/postgres?host=/var/run/pg", "/var/run/pg/postgres"),
        ("postgres://u@[::1]:5432/d", "[::1]:5432/d"),
    ],
)
def test_where_a_database_is_can_be_told_without_who_logs_in(url: str, place: str) -> None:
    assert load_settings(database_url=url).database_place() == place
