"""`sluice dead-letters`: lists poison records, and replays them through their input topic."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from asyncpg import Pool

from schemas.topics import TOPICS
from tests.acceptance.making import WHATSAPP, Maker, now
from tests.cli.commands import Sluice
from tests.cli.sending import KEY, TOPIC, message, shown
from tests.support.batches import batch, record
from tests.support.brokers import Broker
from tests.support.databases import until
from workers.errors import ExitCode
from workers.rules.letters import REPLAY_HEADER

GARBAGE = b'{"workspace_id": "acme", \xff}'


@pytest.fixture
async def sluice(database: str, broker: Broker, tmp_path: Path) -> Sluice:
    await broker.create(*TOPICS)
    return Sluice(tmp_path, DATABASE_URL=database, KAFKA_BOOTSTRAP=broker.bootstrap, SESSION_TIMEOUT_MS=6_000)


def rows(sluice: Sluice, *arguments: str, code: ExitCode = ExitCode.CLEAN) -> list[dict[str, Any]]:
    ended = sluice.run("dead-letters", *arguments, "--json")
    assert ended.code == code, ended.err
    found: list[dict[str, Any]] = json.loads(ended.out)
    return found


async def test_a_replayed_record_is_applied_once_and_one_that_fails_again_counts_on_its_letter(
    sluice: Sluice, database: str, pool: Pool, broker: Broker
) -> None:
    with sluice.running("worker", "inbound") as running:
        running.until_consuming()
        await broker.produce(TOPIC, [(KEY, GARBAGE), (KEY, GARBAGE)], partition=1, headers=[("mine", b"1")])
        await until(pool, "SELECT count(*) = 2 FROM sluice.dead_letters")
        # What a newer version understands: here the letter is what becomes another one.
        await pool.execute("UPDATE sluice_core.dead_letters SET value = $1 WHERE id = 1", message())

        assert [row["outcome"] for row in rows(sluice, "replay", "1", "2", "--dry-run")] == ["would be replayed"] * 2
        assert await broker.ends(TOPIC) == {0: 0, 1: 2, 2: 0, 3: 0}
        assert [row["outcome"] for row in rows(sluice, "replay", "1", "2", "--rate", "50")] == ["replayed"] * 2
        await broker.caught_up(pool, TOPIC)
        assert [row["outcome"] for row in rows(sluice, "replay", "1")] == ["replayed"]
        await broker.caught_up(pool, TOPIC)
        assert running.stop().code == ExitCode.CLEAN

    letters = {row["id"]: (row["status"], row["attempts"]) for row in rows(sluice, "list", "--status", "any")}
    assert letters == {1: ("replayed", 1), 2: ("new", 2)}
    assert await shown(database) == 1
    again = [record for record in await broker.read_all(TOPIC) if record.offset > 1]
    assert [(r.partition, r.key, r.headers) for r in again] == [
        (1, KEY, (("mine", b"1"), (REPLAY_HEADER, identity))) for identity in (b"1", b"2", b"1")
    ]


async def test_a_replayed_message_is_judged_by_its_own_time_and_counts_once(
    sluice: Sluice, pool: Pool, broker: Broker
) -> None:
    maker, then = Maker("acme"), now() - timedelta(hours=1)
    owner = {"identity": WHATSAPP, "actor": {"id": "olga", "role": "owner", "module": "inbox"}}
    block = maker.command("block_contact", at=then, **owner)
    unblock = maker.command("unblock_contact", at=then + timedelta(minutes=10), **owner)
    between = maker.message(at=then + timedelta(minutes=5))
    with sluice.running("worker", "inbound", "commands") as running:
        running.until_consuming()
        await broker.produce("contacts.commands", [(KEY, msgspec.json.encode(c)) for c in (block, unblock)])
        await broker.produce(TOPIC, [(KEY, GARBAGE)])
        await broker.caught_up(pool, TOPIC, "contacts.commands")
        await pool.execute("UPDATE sluice_core.dead_letters SET value = $1", msgspec.json.encode(between))

        for _ in range(2):
            assert [row["outcome"] for row in rows(sluice, "replay", "1")] == ["replayed"]
        await broker.caught_up(pool, TOPIC)

    dropped = await pool.fetch("SELECT reason, event_time FROM sluice.drop_ledger")
    assert [tuple(row) for row in dropped] == [("contact_blocked", between["sent_at"])]
    assert await pool.fetchval("SELECT count(*) FROM sluice.conversation_messages") == 0


async def test_a_header_that_names_no_letter_makes_a_letter_of_its_own(
    sluice: Sluice, pool: Pool, broker: Broker
) -> None:
    with sluice.running("worker", "inbound") as running:
        running.until_consuming()
        await broker.produce(TOPIC, [(KEY, GARBAGE)], headers=[(REPLAY_HEADER, b"4711")])
        await until(pool, "SELECT count(*) = 1 FROM sluice.dead_letters")


async def test_what_was_not_kept_cannot_be_replayed(sluice: Sluice, pool: Pool, broker: Broker) -> None:
    await _letters(pool)

    ended = sluice.run("dead-letters", "replay", "2", "3", "9", "--json")

    assert ended.code == ExitCode.FAULT
    assert "too large to keep" in ended.out
    assert "erased" in ended.out
    assert "no such dead letter" in ended.out
    assert sum((await broker.ends(TOPIC)).values()) == 0
    assert [row["status"] for row in rows(sluice, "list", "--status", "any")] == ["new"] * 4


async def test_letters_are_listed_by_what_they_are(sluice: Sluice, pool: Pool) -> None:
    await _letters(pool)

    assert [row["id"] for row in rows(sluice)] == [1, 2, 3, 4]
    assert [row["content"] for row in rows(sluice)] == ["kept", "not kept", "erased", "kept"]
    assert [row["id"] for row in rows(sluice, "list", "--reason", "UTF-8")] == [1, 3]
    assert [row["id"] for row in rows(sluice, "list", "--topic", "contacts.commands")] == [4]
    assert [row["id"] for row in rows(sluice, "list", "--since", "2026-03-02T00:00:00Z")] == [4]
    assert [row["id"] for row in rows(sluice, "list", "--limit", "2")] == [1, 2]
    assert "[/b] bytes" in sluice.run("dead-letters").out


async def test_content_is_shown_on_request_only(sluice: Sluice, pool: Pool) -> None:
    await _letters(pool)

    told = sluice.run("dead-letters", "show", "1").out
    with_content = sluice.run("dead-letters", "show", "1", "--content").out
    document = json.loads(sluice.run("dead-letters", "show", "4", "--content", "--json").out)

    assert "not utf-8" in told
    assert "messages.inbound/0/1" in told
    assert "+4915112345678" not in told
    assert "+4915112345678" in with_content
    assert "\x1b" not in with_content
    assert document["value_base64"] == "/w=="


async def test_a_letter_that_is_not_there_is_exit_code_1(sluice: Sluice) -> None:
    ended = sluice.run("dead-letters", "show", "9")

    assert (ended.code, ended.out, ended.err) == (ExitCode.FAULT, "", "sluice: there is no dead letter 9\n")


async def test_dismissed_letters_are_no_news(sluice: Sluice, pool: Pool) -> None:
    await _letters(pool)

    assert [r["outcome"] for r in rows(sluice, "dismiss", "--reason", "utf", "--dry-run")] == ["would be dismissed"] * 2
    assert [row["id"] for row in rows(sluice)] == [1, 2, 3, 4]
    first = sluice.run("dead-letters", "dismiss", "--reason", "utf", "--limit", "1")
    assert "--limit 1 is reached; there may be more" in first.err
    listed = sluice.run("dead-letters", "list", "--limit", "2", "--json")
    assert (len(json.loads(listed.out)), listed.err) == (2, "--limit 2 is reached; there may be more.\n")
    assert sluice.run("dead-letters", "list", "--limit", "99").err == ""
    assert [row["id"] for row in rows(sluice, "dismiss", "--reason", "utf")] == [3]
    assert [row["id"] for row in rows(sluice)] == [2, 4]
    assert rows(sluice, "dismiss", "9", code=ExitCode.FAULT)[0]["reason"] == "there is no such dead letter"


@pytest.mark.parametrize("command", ["list", "replay", "dismiss"])
def test_letters_of_a_topic_that_there_is_not_are_refused(tmp_path: Path, command: str) -> None:
    for topic in ("messages.inbuond", "dead.letters", ""):
        ended = Sluice(tmp_path).run("dead-letters", command, "--topic", topic)

        assert ended.code == ExitCode.SETUP, ended.out
        assert f"--topic: {topic} is no input topic; expected any of messages.inbound, messages.outbound" in ended.err


async def _letters(pool: Pool) -> None:
    """Kept, not kept, erased, and of another topic a day later."""
    await pool.execute(
        """
        INSERT INTO sluice_core.dead_letters
            (source_topic, source_partition, source_offset, error, first_seen, key, value, headers, erased_at)
        VALUES
            ('messages.inbound', 0, 1, 'value: not utf-8', '2026-03-01Z', $1, $2, NULL, NULL),
            ('messages.inbound', 0, 2, 'value: 9 [/b] bytes', '2026-03-01Z', $1, NULL, NULL, NULL),
            ('messages.inbound', 0, 3, 'value: not utf-8', '2026-03-01Z', NULL, NULL, NULL, '2026-03-02Z'),
            ('contacts.commands', 0, 4, 'actor: missing', '2026-03-02Z', $1, '\\xff', NULL, NULL)
        """,
        KEY,
        b'{"text": "\x1b[2J"}',
    )


async def test_a_record_with_a_mended_envelope_is_replayed_and_a_whole_batch_is_not(
    sluice: Sluice, database: str, pool: Pool, broker: Broker
) -> None:
    unnamed = record(0, message(), headers=[(b"x-\xff\xfe", b"1")])
    await broker.produce_batch(TOPIC, batch(0, unnamed, 1))
    await broker.produce_batch(TOPIC, batch(0, b"\xff" * 20, 3))
    with sluice.running("worker", "inbound") as running:
        running.until_consuming()
        await until(pool, "SELECT count(*) = 2 FROM sluice.dead_letters")
        first, second = rows(sluice, "replay", "1", "2", code=ExitCode.FAULT)
        assert (first["outcome"], second["outcome"]) == ("replayed", "not replayed")
        assert "whole batch" in second["reason"]
        await broker.caught_up(pool, TOPIC)
        assert running.stop().code == ExitCode.CLEAN
    assert await shown(database) == 1
    assert await pool.fetchval("SELECT next_offset FROM sluice.partition_progress WHERE partition = 0") == 5
