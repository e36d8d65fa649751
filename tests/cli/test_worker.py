"""`sluice migrate`, `topics`, `worker` and the commands that read, against external servers."""

import asyncio
import json
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from asyncpg import Pool

from schemas.topics import EVERY_TOPIC, TOPICS
from tests.cli.commands import STOP_S, Sluice
from tests.cli.sending import TOPIC, read_env, seconds_until_shown, send_with_aiokafka, servers_of, shown
from tests.support.brokers import Broker
from tests.support.databases import until
from tests.support.kafka import KafkaServer
from tests.support.postgres import installed, postgres
from workers.errors import ExitCode

OLDEST = installed()[:1]


@pytest.fixture(params=["embedded", *OLDEST], ids=lambda version: f"postgres-{version}")
def fresh_database(request: pytest.FixtureRequest) -> Iterator[str]:
    """Nothing in it, on the embedded PostgreSQL and on the oldest one this machine has."""
    if request.param == "embedded":
        yield request.getfixturevalue("empty_database")
        return
    with postgres(request.param) as url:
        yield url


async def test_sigterm_under_load_ends_it_in_time_with_nothing_half_done(
    database: str, pool: Pool, broker: Broker, tmp_path: Path
) -> None:
    await broker.create(*TOPICS)
    await send_with_aiokafka(broker.bootstrap, 8_000)
    sluice = Sluice(tmp_path, DATABASE_URL=database, KAFKA_BOOTSTRAP=broker.bootstrap, POLL_RECORDS=200)

    with sluice.running("worker", "all") as running:
        await until(pool, "SELECT count(*) > 400 FROM sluice.conversation_messages")
        ended = running.stop()

    assert ended.code == ExitCode.CLEAN
    assert ended.seconds < STOP_S
    applied = await pool.fetchval("SELECT sum(next_offset)::int FROM sluice.partition_progress")
    assert applied == await shown(database) < 8_000
    assert await pool.fetchval("SELECT count(*) FROM sluice_core.batch_outbox") == 0
    assert len(await broker.read_all("messages.accepted")) == applied
    assert "Traceback" not in ended.err


async def test_whoever_asks_again_and_again_does_not_change_how_it_ends(
    database: str, broker: Broker, tmp_path: Path
) -> None:
    await broker.create(*TOPICS)
    sluice = Sluice(tmp_path, DATABASE_URL=database, KAFKA_BOOTSTRAP=broker.bootstrap)
    with sluice.running("worker", "inbound") as running:
        running.until_consuming()
        assert running.stop_impatiently() == ExitCode.CLEAN


@pytest.mark.kafka
async def test_from_nothing_to_a_counted_message(
    fresh_database: str, kafka_server: KafkaServer, tmp_path: Path
) -> None:
    prefix = f"t{uuid.uuid4().hex[:8]}."
    sluice = Sluice(tmp_path, DATABASE_URL=fresh_database, KAFKA_BOOTSTRAP=kafka_server.bootstrap, TOPIC_PREFIX=prefix)
    assert "applied 0001_engine" in sluice.run("migrate").out
    assert sluice.run("migrate").out == "the schema is up to date\n"
    assert sluice.run("topics", "--partitions", "2").out.split() == [w for t in EVERY_TOPIC for w in ("created", t)]

    with sluice.running("worker", "inbound", "outbound") as running:
        running.until_consuming()
        await send_with_aiokafka(kafka_server.bootstrap, 1, prefix)
        await seconds_until_shown(fresh_database, 1)
        ended = running.stop()
    assert (ended.code, ended.seconds < STOP_S) == (ExitCode.CLEAN, True)

    with sluice.running("dev", "--external", "--env-file", "env") as running:
        running.until((tmp_path / "env").exists)
        assert servers_of(read_env(tmp_path / "env")) == (fresh_database, kafka_server.bootstrap)
        await send_with_aiokafka(kafka_server.bootstrap, 1, prefix)
        await seconds_until_shown(fresh_database, 2)
        ended = running.stop(signal.SIGINT)
    assert (ended.code, ended.seconds < STOP_S) == (ExitCode.CLEAN, True)

    await asyncio.to_thread(_reports_are_right, sluice)


def _reports_are_right(sluice: Sluice) -> None:
    status = _json(sluice, "status")
    assert sum(row["next_offset"] or 0 for row in status["progress"] if row["topic"] == TOPIC) == 2
    assert {row["what"]: row["count"] for row in status["waiting"]}["unpublished batches"] == 0
    assert _json(sluice, "holds") == []
    assert [row["active_contacts"] for row in _json(sluice, "mac")] == [1]
    assert "acme" in sluice.run("mac", "--workspace", "acme").out
    assert sluice.run("mac", "--workspace", "nobody").code == ExitCode.FAULT
    assert sluice.run("holds").out == "Nothing is held.\n"


def _json(sluice: Sluice, *command: str) -> Any:
    ended = sluice.run(*command, "--json")
    assert ended.code == ExitCode.CLEAN, ended.err
    return json.loads(ended.out)


@pytest.mark.kafka
async def test_topics_are_made_once_and_what_is_set_otherwise_is_told(
    kafka_server: KafkaServer, tmp_path: Path
) -> None:
    prefix = f"t{uuid.uuid4().hex[:8]}."
    sluice = Sluice(tmp_path, KAFKA_BOOTSTRAP=kafka_server.bootstrap, TOPIC_PREFIX=prefix)
    first = sluice.run("topics", "--json", "--partitions", "1")
    assert json.loads(first.out) == {"created": list(EVERY_TOPIC), "wrong": {}}
    again = sluice.run("topics")
    assert (again.code, again.out) == (ExitCode.CLEAN, "all topics exist, with the right settings\n")

    others = sluice.run("topics", "--partitions", "3", "--replication", "2")
    assert others.code == ExitCode.SETUP
    assert f"{TOPIC}: partitions is 1, expected 3" in others.out
    assert f"{TOPIC}: replication is 1, expected 2" in others.out
    assert sluice.run("topics", "--partitions", "1", "--replication", "1").code == ExitCode.CLEAN

    await _configure(kafka_server.bootstrap, prefix + TOPIC, {"retention.ms": "1000"})
    wrong = sluice.run("topics")
    as_json = sluice.run("topics", "--json")

    assert wrong.code == as_json.code == ExitCode.SETUP
    assert f"{TOPIC}: retention.ms is 1000, expected 604800000" in wrong.out
    assert json.loads(as_json.out)["wrong"][TOPIC]["retention.ms"] == ["604800000", "1000"]


async def _configure(bootstrap: str, topic: str, configuration: dict[str, str]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configuration)])
    finally:
        await admin.close()


async def test_what_migrating_would_do_is_told_and_not_done(fresh_database: str, tmp_path: Path) -> None:
    sluice = Sluice(tmp_path, DATABASE_URL=fresh_database)
    foreseen = sluice.run("migrate", "--dry-run")
    assert (foreseen.code, foreseen.err) == (ExitCode.CLEAN, "")
    refused = sluice.run("migrate", "--dry-run", "--worker-env", str(tmp_path / "env"))
    assert (refused.code, refused.out) == (ExitCode.SETUP, "")

    done = sluice.run("migrate").out
    files = [line for line in foreseen.out.splitlines() if not line.startswith("would create the role sluice_")]
    assert [line.replace("would apply", "applied") for line in files] == done.splitlines()
    assert sluice.run("migrate", "--dry-run").out == "the schema is up to date\n"
