"""A poison record goes to dead.letters as it came, and does not stop its partition."""

import hashlib
import json
from typing import Any, Final

import pytest

from schemas.topics import INPUTS
from tests.acceptance.schema import breaches
from tests.acceptance.stage import MISSING, Workspace, at

DEAD: Final[dict[str, bytes | None]] = {
    "no JSON": b"{not json",
    "bad UTF-8": b'{"workspace_id":"\xff"}',
    "null": None,
    "a list": b"[]",
    "NUL": b'{"workspace_id":"w\\u0000"}',
    "above 256 KiB": b'{"text":"' + b"x" * 300_000 + b'"}',
}


@pytest.mark.parametrize("topic", [spec.name for spec in INPUTS])
async def test_dead_letters_are_the_records_byte_for_byte(workspace: Workspace, topic: str) -> None:
    own = [("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), ("raw", b"\x00\xff")]
    key = f"{workspace.id}:{topic}".encode()
    sent = await workspace.stage.publish(topic, *((key, value) for value in DEAD.values()), headers=own)
    hello = workspace.message("it holds nothing up")
    await workspace.stage.publish(topic, (key, json.dumps(hello, default=str).encode()))
    await workspace.stage.applied()

    letters = [out for out in await workspace.stage.everything() if out.topic == "dead.letters" and out.key == key]
    assert [out.raw for out in letters[: len(DEAD)]] == [*DEAD.values()]
    for out, where in zip(letters, sent, strict=False):
        assert [name for name, _ in out.headers[:4]] == ["error", "source_topic", "source_partition", "source_offset"]
        head = out.head
        assert (head["source_topic"], int(head["source_partition"]), int(head["source_offset"])) == (topic, *where)
        assert head["error"]
        assert list(out.headers[4:6]) == own
        query = "SELECT * FROM sluice.dead_letters WHERE (source_topic, source_partition, source_offset) = ($1, $2, $3)"
        row = await workspace.stage.pool.fetchrow(query, topic, *where)
        assert (row["error"], row["status"], row["attempts"]) == (head["error"], "new", 1)


async def test_what_is_no_record_of_its_topic_is_a_dead_letter(workspace: Workspace) -> None:
    deep: list[Any] = []
    for _ in range(32):
        deep = [deep]
    bad = [
        json.dumps(record, default=str).encode()
        for record in (
            workspace.message("N\0L", at=at(0)),
            workspace.message("\ud800", at=at(0)),
            workspace.message(at=at(0), channel="pigeon"),
            workspace.message(at=at(0), kind="shout"),
            workspace.message(at=at(0), extra={"deep": deep}),
            workspace.message(at=at(0), provider_message_id=""),
            workspace.message(at=at(0), received_at="2025-03-10T12:00:00"),
            workspace.message(at=at(0), content=MISSING),
            workspace.event("run_paused", "r1"),
        )
    ]
    key = f"{workspace.id}:bad".encode()
    for value in bad:
        topic = "workflows.events" if b"run_paused" in value else "messages.inbound"
        await workspace.stage.publish(topic, (key, value))
    await workspace.play(workspace.message("good", at=at(0), extra={"deep": [[[]]]}))

    letters = [
        out.raw or b"" for out in await workspace.stage.everything() if out.topic == "dead.letters" and out.key == key
    ]
    assert sorted(letters) == sorted(bad)
    assert len(await workspace.rows("conversation_messages")) == 1


async def test_a_dead_letter_above_512_kib_is_a_reference(workspace: Workspace) -> None:
    value = b'{"text":"' + b"x" * 600_000 + b'"}'
    key = f"{workspace.id}:large".encode()
    await workspace.stage.publish("messages.inbound", (key, value))
    await workspace.stage.applied()

    [letter] = [out for out in await workspace.stage.everything() if out.key == key]
    assert letter.value == {"size": len(value), "sha256": hashlib.sha256(value).hexdigest()}
    assert breaches("dead.letters", letter.value) == []


async def test_only_the_record_itself_counts_on_a_letter_that_its_header_names(workspace: Workspace) -> None:
    stage, topic, key = workspace.stage, "messages.inbound", f"{workspace.id}:claims".encode()
    query = "SELECT id, attempts FROM sluice.dead_letters WHERE (source_partition, source_offset) = ($1, $2)"

    async def letter(value: bytes, *claims: object) -> Any:
        headers = [("sluice_dead_letter_id", str(claim).encode()) for claim in claims]
        [where] = await stage.publish(topic, (key, value), headers=headers)
        await stage.applied()
        return await stage.pool.fetchrow(f"{query} AND source_topic = $3", *where, topic)

    first = await letter(b"{bad")
    assert first["attempts"] == 1
    forged = [await letter(value, first["id"]) for value in (b"{worse", b"", b"{bad ")]
    assert [row["attempts"] for row in forged] == [1, 1, 1]
    assert await letter(b"{bad", 4711, first["id"]) is None
    found = await stage.pool.fetchrow("SELECT attempts, status FROM sluice.dead_letters WHERE id = $1", first["id"])
    assert tuple(found) == (2, "new")
