"""`sluice progress`: where partitions stand, and letting them go on elsewhere."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from asyncpg import Pool

from schemas.topics import TOPICS
from tests.cli.commands import Sluice
from tests.cli.sending import KEY, TOPIC, message, shown
from tests.support.brokers import Broker
from tests.support.databases import until
from workers.dev.broker import embedded_broker
from workers.errors import ExitCode


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
        (rewound(sluice, "--partition", "7", "--to-offset", "0", "--yes"), "no worker has had"),
    ]:
        assert ended.code == ExitCode.SETUP
        assert why in ended.err.splitlines()[-1]
    assert standing(sluice)["next_offset"] == 2


async def test_a_worker_at_work_is_fenced(sluice: Sluice, database: str, pool: Pool, broker: Broker) -> None:
    with sluice.running("worker", "inbound") as running:
        running.until_said("lanes_changed")  # a worker that takes its partitions anew goes on where they were placed
        await broker.produce(TOPIC, [(KEY, message()) for _ in range(3)], partition=0)
        await broker.caught_up(pool, TOPIC)
        assert "is at work on it" in rewound(sluice, "--to", "beginning", "--yes").err
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
        assert "made anew" in ended.err
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
