"""`sluice doctor` finds each fault, on real servers that have it, and says what to do."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from asyncpg import Pool

from tests.cli.inside import runner
from tests.support.brokers import Broker
from tests.support.databases import reader_of, sender_of, worker_of
from workers.cli import doctor
from workers.cli.doctor import Asked
from workers.errors import ExitCode
from workers.kafka import topics
from workers.rules.findings import Finding
from workers.store import migrate

Diagnose = Callable[..., Any]
ANOTHER_TIME = "UPDATE sluice_core.migrations SET name = $2 WHERE name = $1"
NEWEST = max(m.name for m in migrate.migrations() if not m.repeatable)


def of(findings: Sequence[Finding], check: str) -> Finding:
    """The only finding of a check."""
    [found] = [finding for finding in findings if finding.check == check]
    return found


def wrong(findings: Sequence[Finding], check: str) -> Mapping[str, str]:
    """What is not well: level by what was found."""
    return {finding.found: finding.level for finding in findings if finding.check == check and finding.level != "ok"}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Callable[..., None]:
    """Sets the settings, and no others."""
    for name in [name for name in os.environ if name.startswith("SLUICE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def tell(**settings: object) -> None:
        for name, value in settings.items():
            monkeypatch.setenv(f"SLUICE_{name}", str(value))

    return tell


@pytest.fixture
async def login(database: str) -> str:
    return await worker_of(database)


@pytest.fixture
def diagnosed(told: Callable[..., None], login: str) -> Diagnose:
    """What it finds for a worker of this database alone."""

    async def diagnose(url: str = login, purpose: str = "worker", **settings: object) -> list[Finding]:
        told(DATABASE_URL=url, **settings)
        return await doctor.examined(Asked(purpose))

    return diagnose


# --- the database


async def test_a_database_that_is_well(diagnosed: Diagnose) -> None:
    findings = await diagnosed()

    for check in ("database version", "schema", "database rights", "database connections", "clock of the database"):
        assert of(findings, check).level == "ok", findings
    assert of(findings, "schema").found == f"schema {int(NEWEST[:4])}"


async def test_a_server_that_may_forget_what_it_committed(diagnosed: Diagnose) -> None:
    """That of the tests does."""
    assert wrong(await diagnosed(), "database settings") == {
        "fsync is off": "problem",
        "full_page_writes is off": "problem",
        "synchronous_commit is off": "problem",
        "autovacuum is off": "warning",
    }


async def test_settings_that_end_transactions(pool: Pool, diagnosed: Diagnose) -> None:
    name = await pool.fetchval("SELECT current_database()")
    await pool.execute(f"ALTER DATABASE {name} SET statement_timeout = '2s'")
    await pool.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")

    found = wrong(await diagnosed(), "database settings")

    assert found["statement_timeout is 2000 ms"] == "warning"
    assert found["default_transaction_read_only is on"] == "problem"


async def test_a_login_of_another_role(database: str, diagnosed: Diagnose) -> None:
    found = of(await diagnosed(await reader_of(database)), "database rights")

    assert (found.level, found.expected) == ("problem", "a login of sluice_worker")
    assert "has sluice_reader" in found.found
    assert "GRANT sluice_worker TO" in found.advice


async def test_a_superuser(database: str, diagnosed: Diagnose) -> None:
    assert of(await diagnosed(database), "database rights").level == "warning"


@pytest.mark.parametrize(
    ("taken", "purpose", "lacks"),
    [
        ("UPDATE ON sluice_core.progress FROM sluice_worker", "worker", "UPDATE ON sluice_core.progress"),
        ("SELECT ON sluice.partitions FROM sluice_worker", "worker", "SELECT ON sluice.partitions"),
        (
            "EXECUTE ON FUNCTION sluice.claim_send FROM sluice_sender",
            "sender",
            "EXECUTE ON FUNCTION sluice.claim_send",
        ),
    ],
)
async def test_a_right_that_somebody_took_away(
    pool: Pool, database: str, diagnosed: Diagnose, taken: str, purpose: str, lacks: str
) -> None:
    url = await (sender_of if purpose == "sender" else worker_of)(database)
    assert of(await diagnosed(url, purpose), "database rights").level == "ok"
    await pool.execute(f"REVOKE {taken}")

    found = of(await diagnosed(url, purpose), "database rights")

    assert (found.level, lacks in found.found) == ("problem", True), found
    assert f"GRANT {lacks} TO sluice_{purpose}" in found.advice


async def test_an_older_schema(pool: Pool, diagnosed: Diagnose) -> None:
    await pool.execute("DELETE FROM sluice_core.migrations WHERE name = $1", NEWEST)

    found = of(await diagnosed(), "schema")

    assert found.level == "problem"
    assert NEWEST in found.found
    assert "sluice migrate" in found.advice


async def test_a_newer_schema(pool: Pool, diagnosed: Diagnose) -> None:
    await pool.execute("INSERT INTO sluice_core.migrations (name, checksum) VALUES ('9999_later.sql', '')")

    found = of(await diagnosed(), "schema")

    assert (found.level, found.advice) == ("problem", "Update Sluice on this machine.")
    assert found.found.startswith("schema 9999")


async def test_no_schema(empty_database: str, diagnosed: Diagnose) -> None:
    found = of(await diagnosed(empty_database), "schema")

    assert (found.level, found.found.startswith("no schema of Sluice")) == ("problem", True)


async def test_too_few_connections(pool: Pool, diagnosed: Diagnose) -> None:
    name = await pool.fetchval("SELECT current_database()")
    await pool.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 9")

    found = of(await diagnosed(), "database connections")

    assert found.level == "problem"
    assert f"of 9 are free, by the limit of the database {name}" in found.found
    assert of(await diagnosed(DATABASE_CONNECTIONS=8), "database connections").level == "ok"


async def test_connections_that_others_hold(pool: Pool, diagnosed: Diagnose) -> None:
    name = await pool.fetchval("SELECT current_database()")
    await pool.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 12")
    async with pool.acquire(), pool.acquire(), pool.acquire():
        found = of(await diagnosed(), "database connections")

    assert (found.level, found.found.split()[:3]) == ("warning", ["9", "of", "12"])


async def test_a_clock_that_is_wrong(told: Callable[..., None], login: str) -> None:
    told(DATABASE_URL=login)
    for off_s, direction in ((-600.0, "ahead"), (600.0, "behind")):
        findings = await doctor.examined(Asked(), now=lambda off_s=off_s: time.time() + off_s)  # type: ignore[misc]

        found = of(findings, "clock of the database")
        assert (found.level, found.found.split()[-1]) == ("problem", direction)
        assert found.found.startswith(("at least 600", "at least 599"))


async def test_a_database_that_does_not_answer(diagnosed: Diagnose) -> None:
    found = of(await diagnosed("postgresql://nobody@127.0.0.1:9/nothing"), "database")

    assert (found.level, "does not answer" in found.found) == ("problem", True)


# --- settings


async def test_settings_that_are_missing_or_not_safe(told: Callable[..., None]) -> None:
    assert wrong(await doctor.examined(Asked()), "settings") == {
        "SLUICE_DATABASE_URL is not set": "problem",
        "SLUICE_KAFKA_BOOTSTRAP is not set": "problem",
        "SLUICE_HASH_KEY is not set": "warning",
        "SLUICE_METRICS_PORT is not set": "warning",
    }
    told(KAFKA_BOOTSTRAP="192.0.2.1:9092", UNREACHABLE_AFTER_S=1, DATABASE_URL="postgresql://nobody@127.0.0.1:9/x")
    assert "SLUICE_KAFKA_SECURITY_PROTOCOL does not encrypt" in wrong(
        await asyncio.wait_for(doctor.examined(Asked()), 30), "settings"
    )


async def test_a_setting_that_does_not_exist(told: Callable[..., None]) -> None:
    told(DATABASE_URI="x")

    [found] = await doctor.examined(Asked())

    assert (found.check, found.level) == ("settings", "problem")
    assert "SLUICE_DATABASE_URI" in found.found


def test_the_command_prints_findings_and_says_whether_there_is_a_problem(
    login: str, broker: Broker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = runner(monkeypatch, capsys, DATABASE_URL=login, KAFKA_BOOTSTRAP=broker.bootstrap)

    people, machines = run("doctor"), run("doctor", "--json")

    assert (people.code, machines.code) == (ExitCode.FAULT, ExitCode.FAULT)
    assert "problem  topics: missing, or not visible" in people.out
    assert "Run `sluice topics`" in people.out
    document = json.loads(machines.out)
    assert document["level"] == "problem"
    assert {"check", "level", "found", "expected", "advice"} == document["findings"][0].keys()
    assert run("doctor", "--for", "nobody").code == ExitCode.SETUP


# --- Kafka


@pytest.fixture
async def seen(kafka: Broker, told: Callable[..., None], login: str) -> Diagnose:
    """What it finds for a worker, where `sluice topics` made the topics with two partitions."""
    await topics.ensure(kafka.cluster(), 2)
    told(
        DATABASE_URL=login,
        KAFKA_BOOTSTRAP=kafka.bootstrap,
        TOPIC_PREFIX=kafka.topic_prefix,
        GROUP_PREFIX=kafka.group_prefix,
    )

    async def see(now: doctor.Clock = time.time, watch_s: float = 0.1, **asked: Any) -> list[Finding]:
        return await doctor.examined(Asked(**asked), now, watch_s)

    return see


@asynccontextmanager
async def administering(kafka: Broker) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def alter(kafka: Broker, topic: str, **settings: str) -> None:
    """Changes settings of a topic, and waits until the broker shows them."""
    named = {name.replace("_", "."): value for name, value in settings.items()}
    name = kafka.topic_prefix + topic
    async with administering(kafka) as admin:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, configs=named)])
        async with asyncio.timeout(10):
            # A broker tells nobody that it has learnt of a change.
            while not named.items() <= (await topics.configurations(admin, [name]))[name].items():  # noqa: ASYNC110
                await asyncio.sleep(0.05)


@pytest.mark.kafka
async def test_a_cluster_that_is_well(seen: Diagnose) -> None:
    findings = await seen(partitions=2, replication=1)

    fine = ("topics", "partitions", "leaders", "replication", "min.insync.replicas", "topic settings", "Kafka rights")
    for check in (*fine, "time-out of the group", "clock of the brokers"):
        assert of(findings, check).level == "ok", findings


@pytest.mark.kafka
async def test_topics_with_wrong_settings(kafka: Broker, seen: Diagnose) -> None:
    await alter(kafka, "messages.inbound", retention_ms="3600000", message_timestamp_type="CreateTime")
    await alter(kafka, "contacts.changes", cleanup_policy="delete", retention_bytes="1000000")
    await alter(kafka, "dead.letters", min_insync_replicas="2", unclean_leader_election_enable="true")

    findings = await seen()

    p = kafka.topic_prefix
    found = wrong(findings, "topic settings")
    assert found[f"{p}messages.inbound: retention.ms is 3600000"] == "problem"
    assert found[f"{p}messages.inbound: message.timestamp.type is CreateTime"] == "problem"
    assert found[f"{p}contacts.changes: cleanup.policy is delete"] == "problem"
    assert found[f"{p}contacts.changes: retention.bytes is 1000000"] == "warning"
    assert found[f"{p}dead.letters: unclean.leader.election.enable is true"] == "warning"
    [in_sync] = [one for one in findings if one.check == "min.insync.replicas"]
    assert (in_sync.level, in_sync.found) == ("problem", f"{p}dead.letters: 2 of 1 replicas, and 1 are in sync")
    [retention] = [one for one in findings if one.found.endswith("retention.ms is 3600000")]
    assert "--add-config retention.ms=604800000" in retention.advice


@pytest.mark.kafka
async def test_wrong_numbers_of_partitions_and_replicas(kafka: Broker, pool: Pool, seen: Diagnose) -> None:
    assert len(wrong(await seen(partitions=3), "partitions")) > 10
    assert len(wrong(await seen(replication=3), "replication")) > 10
    assert list(wrong(await seen(), "replication").values()) == ["warning"]
    await pool.execute(
        "INSERT INTO sluice_core.progress (topic, partition, consumer_group, generation, next_offset)"
        " VALUES ('messages.inbound', 7, 'g-inbound', 1, 5)"
    )
    assert wrong(await seen(), "partitions") == {f"{kafka.topic_prefix}messages.inbound has 2": "problem"}


@pytest.mark.kafka
async def test_a_topic_that_is_missing(kafka: Broker, seen: Diagnose) -> None:
    name = f"{kafka.topic_prefix}sends.status"
    async with administering(kafka) as admin:
        await admin.delete_topics([name])
        while name in await admin.list_topics():  # noqa: ASYNC110 - nothing tells but asking
            await asyncio.sleep(0.05)

    assert list(wrong(await seen(), "topics")) == ["missing, or not visible to this login: sends.status"]


@pytest.mark.kafka
async def test_a_clock_of_the_brokers_that_is_wrong(kafka: Broker, seen: Diagnose) -> None:
    await kafka.produce("messages.inbound", [(b"k", b"1")], partition=0)

    ahead = await seen(now=lambda: time.time() - 600, watch_s=6)
    assert of(ahead, "clock of the brokers").level == "problem"
    assert of(ahead, "clock of the brokers").found.endswith("ahead")

    looking = asyncio.create_task(seen(now=lambda: time.time() + 600, watch_s=20))
    while not looking.done():
        await kafka.produce("messages.inbound", [(b"k", b"2")], partition=0)
        await asyncio.wait({looking}, timeout=0.2)
    assert of(await looking, "clock of the brokers").level == "problem"
    assert of(await looking, "clock of the brokers").found.endswith("behind")
