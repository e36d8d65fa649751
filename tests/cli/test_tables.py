"""Tables are legible on a terminal of 80 columns: ids and topics are whole, and no line is longer."""

import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from uuid import UUID

import pytest
from asyncpg import Pool
from rich.console import Console

from schemas.topics import INPUTS, TOPICS
from tests.cli.commands import Ended
from tests.support.brokers import Broker
from workers.cli import main, tables

WIDTH = 80
SEND = UUID("0e37df36-f698-11e6-8dd4-cb9ced3df976")
CONTACT = UUID("9b2c7b1e-1f55-5d0c-9f0e-5a1b2c3d4e5f")
ERROR = "content.attachments[3].url: expected a URL of at most 2048 characters, got an array of 3"
AT = datetime(2026, 3, 1, 8, tzinfo=UTC)
WORKSPACE = "nordwind"

DATA = f"""
    INSERT INTO sluice_core.dead_letters
        (source_topic, source_partition, source_offset, error, value, headers)
    SELECT 'messages.outbound', 11, 123456789 + n, '{ERROR}', 'v', NULL FROM generate_series(1, 3) AS n;
    INSERT INTO sluice_core.progress
        (topic, partition, consumer_group, lease, owner, generation, backend_pid, backend_start, next_offset)
    SELECT topic, 3, 'sluice-' || topic, gen_random_uuid(), 'sluice-worker-7d4b9c6f5-x2v9k/1/inbound', 1, pid,
        backend_start, 0
    FROM unnest($1::text[]) AS topic, pg_stat_activity WHERE pid = pg_backend_pid();
    INSERT INTO sluice_core.mac_cycles (workspace_id, cycle_start, cycle_end)
    SELECT '{WORKSPACE}', at, at + interval '1 month'
    FROM generate_series('2026-01-01Z'::timestamptz, '2026-03-01Z', '1 month') AS at;
    INSERT INTO sluice_core.contacts (workspace_id, contact_id, conversation_id)
    VALUES ('{WORKSPACE}', '{CONTACT}', gen_random_uuid());
    INSERT INTO sluice_core.sends
        (workspace_id, send_id, group_id, contact_id, channel, channel_id, content, source, requested_by,
         requested_role, requested_at, status, reasons, held_at, expires_at, applied_at, updated_at)
    SELECT '{WORKSPACE}', '{SEND}', 'spring-newsletter', '{CONTACT}', 'messenger', 'ms-main', '{{}}', 'broadcast',
        'ute@example.net', 'agent', now(), 'held', '{{status_protected,company_protected}}', now(), now(), now(),
        now();
"""  # noqa: S608 - our own words


def test_yes_and_no_and_pairs_are_words_for_people() -> None:
    document = {
        "at_work": True,
        "counted": False,
        "headers": [{"name": "h", "value": "1"}, {"name": "i", "value": None}],
    }

    assert tables.lines(document) == "at_work: yes\ncounted: no\nheaders: name=h value=1, name=i value="


@pytest.fixture
async def world(pool: Pool, broker: Broker) -> Broker:
    await broker.create(*TOPICS)
    await pool.execute(DATA.replace("$1", f"ARRAY{[spec.name for spec in INPUTS]}"))
    return broker


@pytest.fixture
def run(
    world: Broker, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ended]:
    """Runs a command in this process, on a terminal of 80 columns."""
    for name in [name for name in os.environ if name.startswith("SLUICE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SLUICE_KAFKA_BOOTSTRAP", world.bootstrap)
    monkeypatch.setenv("SLUICE_DATABASE_URL", database)
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["sluice", *arguments])
        with pytest.raises(SystemExit) as end:
            main.main()
        told = capsys.readouterr()
        assert (end.value.code or 0, told.err) == (0, "")
        return Ended(0, told.out, told.err, 0)

    return run


@pytest.mark.parametrize("wide", [False, True], ids=["narrow", "wide"])
@pytest.mark.parametrize(
    ("command", "whole"),
    [
        (["status"], [spec.name for spec in INPUTS]),
        (["progress", "show"], [spec.name for spec in INPUTS]),
        (["dead-letters", "list"], ["messages.outbound", "123456790"]),
        (["dead-letters", "list", "--status", "any"], ["messages.outbound", "123456790"]),
        (["holds"], [str(SEND), WORKSPACE, "status_protected", "company_protected"]),
        (["mac"], [WORKSPACE, "2026-02-01"]),
        (["topics", "--describe"], list(TOPICS)),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else None,
)
def test_no_line_is_longer_and_no_id_is_broken(
    command: list[str], whole: list[str], run: Callable[..., Ended], *, wide: bool
) -> None:
    out = run(*command, *(["--wide"] if wide else [])).out

    words = out.replace(",", " ").split()
    assert [word for word in whole if word not in words] == []
    if not wide:
        assert max(map(len, out.splitlines())) <= WIDTH
        assert "…" not in out


def test_nothing_is_missing_from_wide_tables(run: Callable[..., Ended]) -> None:
    [hold] = json.loads(run("holds", "--json").out)
    out = run("holds", "--wide").out
    assert [column for column in hold if column not in out] == []
    assert str(CONTACT) in out
    assert str(CONTACT) not in run("holds").out


def drawn(rows: tables.Rows, width: int = WIDTH) -> str:
    out = StringIO()
    tables.show(Console(file=out, width=width, highlight=False, markup=False), "things", rows)
    return out.getvalue()


def test_prose_gives_way_before_anything_else() -> None:
    told = drawn([{"id": SEND, "error": ERROR, "offset": 123_456_789}])
    assert all(word in told.split() for word in (str(SEND), "123456789", "expected"))
    assert max(map(len, told.splitlines())) <= WIDTH
    assert len(told.splitlines()) > 4


def test_rows_that_do_not_fit_are_shown_one_by_one() -> None:
    told = drawn([{"workspace_id": "w" * 64, "contact_id": CONTACT, "at": AT}] * 2)
    assert told.count(f"workspace_id: {'w' * 64}\ncontact_id: {CONTACT}\nat: 2026-03-01 08:00:00Z\n") == 2


def test_numbers_stand_to_the_right_and_words_to_the_left() -> None:
    *_, row = drawn([{"topic": "messages.outbound", "n": 10}, {"topic": "x", "n": 7}]).rstrip().splitlines()
    assert row.split() == ["x", "7"]
    assert row.startswith("x")
    assert row.endswith(" 7")


def test_what_others_wrote_cannot_steer_the_terminal() -> None:
    for width in (WIDTH, 10):
        told = drawn([{"error": "\x1b[2J\x07[red]bad[/red]\u202e", "list": ["a\nb"]}], width)
        assert told.replace("\n", "").isprintable()
        assert "[red]bad[/red]" in told.replace("\n", "")


def test_wide_characters_take_their_room() -> None:
    told = drawn([{"name": "東京" * 10, "id": SEND}])
    assert str(SEND) in told
    assert "東京" * 10 in told
