"""`sluice progress`: where partitions stand, and moving them."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from asyncpg import Pool
from pydantic import SecretStr

from schemas.topics import TOPICS
from tests.cli.commands import Sluice
from tests.cli.sending import KEY, TOPIC, message, shown
from tests.support.brokers import Broker
from tests.support.databases import until
from workers.app.settings import Settings, load_settings
from workers.cli import positions
from workers.dev.broker import embedded_broker
from workers.errors import ExitCode, NotPossible
from workers.kafka import operator_queries
from workers.kafka.connection import Kafka
from workers.kafka.operator_queries import Bounds
from workers.records import Partition


def made(database: str, broker: Broker, folder: Path) -> Sluice:
    return Sluice(
        folder,
        DATABASE_URL=database,
        KAFKA_BOOTSTRAP=broker.bootstrap,
        TOPIC_PREFIX=broker.topic_prefix,
        GROUP_PREFIX=broker.group_prefix,
        SESSION_TIMEOUT_MS=6_000,
    )


@pytest.fixture
async def sluice(database: str, broker: Broker, tmp_path: Path) -> Sluice:
    await broker.create(*TOPICS)
    return made(database, broker, tmp_path)


async def applied(sluice: Sluice, broker: Broker, pool: Pool, count: int) -> None:
    """So many messages of partition 0, and whatever else there is, applied by a worker that is gone again."""
    await broker.produce(TOPIC, [(KEY, message()) for _ in range(count)], partition=0)
    with sluice.running("worker", "inbound") as running:
        running.until_consuming()
        await broker.caught_up(pool, TOPIC)
        assert running.stop().code == ExitCode.CLEAN


def standing(sluice: Sluice, partition: int = 0) -> dict[str, Any]:
    ended = sluice.run("progress", "show", "--json")
    assert ended.code == ExitCode.CLEAN, ended.err
    [row] = [r for r in json.loads(ended.out) if (r["topic"], r["partition"]) == (TOPIC, partition)]
    return dict(row)


def rewound(sluice: Sluice, *arguments: str) -> Any:
    return sluice.run("progress", "rewind", "--topic", TOPIC, *arguments)


def skipped(sluice: Sluice, *arguments: str) -> Any:
    return sluice.run("progress", "skip", "--topic", TOPIC, *arguments)


async def test_what_is_applied_again_changes_nothing(sluice: Sluice, database: str, pool: Pool, broker: Broker) -> None:
    assert standing(sluice)["position"] == "not begun"
    await applied(sluice, broker, pool, 5)
    row = standing(sluice)
    assert (row["next_offset"], row["held_from"], row["held_until"], row["to_apply"]) == (5, 0, 5, 0)
    assert (row["position"], row["at_work"]) == ("held", False)

    ended = rewound(sluice, "--partition", "0", "--to-offset", "2", "--yes", "--json")
    assert json.loads(ended.out) == [{"topic": TOPIC, "partition": 0, "from": 5, "to": 2}]
    assert "3 offsets are applied again" in ended.err
    assert standing(sluice)["to_apply"] == 3

    await applied(sluice, broker, pool, 1)
    assert standing(sluice)["next_offset"] == 6
    assert await shown(database) == 6


async def test_what_is_skipped_is_never_applied(sluice: Sluice, database: str, pool: Pool, broker: Broker) -> None:
    await applied(sluice, broker, pool, 2)
    await broker.produce(TOPIC, [(KEY, message()) for _ in range(3)], partition=0)

    assert skipped(sluice, "--to", "end", "--yes").code == ExitCode.CLEAN

    await applied(sluice, broker, pool, 1)
    assert standing(sluice)["next_offset"] == 6
    assert await shown(database) == 3


async def test_nothing_happens_without_consent(sluice: Sluice, pool: Pool, broker: Broker) -> None:
    await applied(sluice, broker, pool, 2)

    ended = rewound(sluice, "--to", "beginning")

    assert ended.code == ExitCode.FAULT
    assert f"{TOPIC}[0]: 2 -> 0" in ended.err
    assert standing(sluice)["next_offset"] == 2


async def test_nobody_goes_where_the_topic_holds_nothing(sluice: Sluice, pool: Pool, broker: Broker) -> None:
    assert "no worker has had" in rewound(sluice, "--to", "beginning", "--yes").err
    await applied(sluice, broker, pool, 2)

    for ended, why in [
        (skipped(sluice, "--partition", "0", "--to-offset", "3", "--yes"), "holds 0 to 2"),
        (skipped(sluice, "--partition", "0", "--to-offset", "1", "--yes"), "stands earlier"),
        (rewound(sluice, "--partition", "0", "--to-offset", "2", "--yes"), "stands later"),
        (rewound(sluice, "--partition", "7", "--to-offset", "0", "--yes"), "partitions 0 to 3"),
    ]:
        assert ended.code == ExitCode.FAULT
        assert why in ended.err.splitlines()[-1]
    assert standing(sluice)["next_offset"] == 2


async def test_a_worker_at_work_is_fenced(sluice: Sluice, database: str, pool: Pool, broker: Broker) -> None:
    with sluice.running("worker", "inbound") as running:
        running.until_said("lanes_changed")  # a worker that takes its partitions again continues where they were moved
        await broker.produce(TOPIC, [(KEY, message()) for _ in range(3)], partition=0)
        await broker.caught_up(pool, TOPIC)
        assert "owns it and ends" in rewound(sluice, "--to", "beginning", "--yes").err
        await broker.produce(TOPIC, [(KEY, message())], partition=0)
        assert running.ended() == ExitCode.FENCED

    assert await shown(database) == 3
    await applied(sluice, broker, pool, 0)
    assert await shown(database) == 4


async def test_a_topic_made_anew_is_gone_on_with(database: str, pool: Pool, tmp_path: Path) -> None:
    with embedded_broker() as bootstrap:
        broker = Broker("embedded", bootstrap)
        await broker.create(*TOPICS)
        await broker.produce(TOPIC, [(KEY, b"bad")], partition=0)
        await applied(made(database, broker, tmp_path), broker, pool, 2)
    with embedded_broker() as bootstrap:
        broker = Broker("embedded", bootstrap)
        await broker.create(*TOPICS)
        await broker.produce(TOPIC, [(KEY, b"worse")], partition=0)
        sluice = made(database, broker, tmp_path)
        assert standing(sluice)["position"] == "lost"
        ended = rewound(sluice, "--to", "beginning", "--yes")
        assert "created again" in ended.err
        with sluice.running("worker", "inbound") as running:
            running.until_consuming()
            await until(pool, "SELECT count(*) = 2 FROM sluice.dead_letters WHERE attempts = 1")
            running.stop()


@pytest.mark.kafka
async def test_a_moment_is_found_in_the_topic(database: str, pool: Pool, kafka: Broker, tmp_path: Path) -> None:
    await kafka.create(*TOPICS)
    sluice = made(database, kafka, tmp_path)
    await kafka.produce(TOPIC, [(KEY, message())], partition=0)
    between = datetime.now(UTC).isoformat()
    await applied(sluice, kafka, pool, 2)

    assert rewound(sluice, "--to", between, "--yes").code == ExitCode.CLEAN
    assert standing(sluice)["next_offset"] == 1
    later = datetime.now(UTC).isoformat()
    assert skipped(sluice, "--to", later, "--yes").code == ExitCode.CLEAN
    assert standing(sluice)["next_offset"] == 3


async def test_a_database_is_bound_to_another_group_prefix_on_purpose(
    sluice: Sluice, database: str, pool: Pool, broker: Broker, tmp_path: Path
) -> None:
    assert "bound to no group prefix" in sluice.run("progress", "rebind", "--yes").err
    await applied(sluice, broker, pool, 3)
    renamed = Broker(broker.kind, broker.bootstrap, group_prefix="renamed")
    other = made(database, renamed, tmp_path)
    refused = other.run("worker", "inbound")
    assert (refused.code, "sluice progress rebind" in refused.err) == (ExitCode.SETUP, True)

    ended = other.run("progress", "rebind", "--yes", "--json")
    assert json.loads(ended.out) == {"from": broker.group_prefix, "to": "renamed", "changed": True}
    assert sluice.run("worker", "inbound").code == ExitCode.SETUP
    await applied(other, renamed, pool, 1)
    assert (standing(other)["next_offset"], await shown(database)) == (4, 4)
    assert json.loads(other.run("progress", "rebind", "--json").out)["changed"] is False


async def test_skipping_binds_to_the_prefix_of_whoever_skips(
    sluice: Sluice, database: str, pool: Pool, broker: Broker, tmp_path: Path
) -> None:
    wrong = made(database, Broker(broker.kind, broker.bootstrap, group_prefix="wrong"), tmp_path)
    with wrong.running("worker", "inbound") as running:
        running.until_consuming()
        assert running.stop().code == ExitCode.CLEAN
    await broker.produce(TOPIC, [(KEY, message())], partition=0)

    assert skipped(sluice, "--to", "end", "--yes").code == ExitCode.CLEAN
    assert wrong.run("worker", "inbound").code == ExitCode.SETUP
    await applied(sluice, broker, pool, 1)
    assert await shown(database) == 1


def under_traffic(pool: Pool, broker: Broker, database: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Between the questions to Kafka and to PostgreSQL, in whichever order, a worker goes on, and what is old goes."""

    async def asked(cluster: Kafka, topics: Sequence[str]) -> dict[Partition, Bounds]:
        kept = await operator_queries.bounds(cluster, topics)
        await broker.produce(TOPIC, [(KEY, message())], partition=0)
        await pool.execute("UPDATE sluice_core.progress SET next_offset = next_offset + 1 WHERE partition = 0")
        here = Partition(TOPIC, 0)
        return kept | {here: Bounds(kept[here].end, kept[here].end)}

    monkeypatch.setattr(positions, "bounds", asked)
    return load_settings(
        database_url=SecretStr(database), kafka_bootstrap=broker.bootstrap, topic_prefix=broker.topic_prefix
    )


async def test_what_is_applied_while_somebody_looks_is_not_lost(
    sluice: Sluice, database: str, pool: Pool, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await applied(sluice, broker, pool, 2)
    settings = under_traffic(pool, broker, database, monkeypatch)
    report = await positions.shown(settings)
    [row] = [r for r in report.tables["progress"] if (r["topic"], r["partition"]) == (TOPIC, 0)]
    assert (row["next_offset"], row["held_until"], row["position"], row["to_apply"]) == (3, 2, "held", 0)


async def test_a_topic_that_grows_while_somebody_rewinds_was_not_made_anew(
    sluice: Sluice, database: str, pool: Pool, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await applied(sluice, broker, pool, 2)
    settings = under_traffic(pool, broker, database, monkeypatch)
    with pytest.raises(NotPossible, match="stands later"):
        await positions.rewound(settings, TOPIC, 0, positions.END)
