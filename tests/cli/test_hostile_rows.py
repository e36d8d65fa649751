"""Every command that shows text of others, on a database whose texts try to control the terminal."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import pytest
from asyncpg import Pool

from tests.cli.commands import Ended
from tests.cli.test_roles import READING, SEND, WORKSPACE
from tests.support.brokers import Broker
from tests.support.hostile import EVERYTHING, inert
from tests.workers.sending import PHONE, protect, request, rows, send, wrote
from tests.workers.sending import run as start
from workers.cli import main
from workers.terminal_text import visible

WRITTEN: Final[dict[str, set[str]]] = {
    "status": {"consumer_group", "owner"},
    "holds": {"group_id", "profile_id", "requested_by"},
    "progress": {"owner"},
    "dead-letters": {"error"},
}
"""By command: the columns that others write, without what a schema restricts."""

PAGES: Final[dict[tuple[str, ...], set[str]]] = {
    ("holds", "show", SEND): {"to", "profile", "waits", "requested", "group"},
    ("sends", "show", SEND): {"to", "requested", "group"},
    ("sends", "group", EVERYTHING): {"group"},
    ("runs", "show", EVERYTHING): {"run"},
}
"""By command: the labels beside which something that others wrote stands."""


@pytest.fixture
async def hostile(pool: Pool, broker: Broker) -> Broker:
    await broker.create("messages.inbound")
    await broker.produce("messages.inbound", [(b"k", b"v")] * 3, partition=0)
    contact = await wrote(pool, provider_message_id=EVERYTHING, channel_id=EVERYTHING, name=EVERYTHING)
    await protect(pool, contact, status=EVERYTHING)
    await pool.execute("UPDATE profiles SET profile_id = $1, name = $1", EVERYTHING)
    await pool.execute("UPDATE contacts SET profile_id = $1", EVERYTHING)
    await send(
        pool,
        request(
            content={"type": "text", "text": EVERYTHING},
            group_id=EVERYTHING,
            requested_by={"id": EVERYTHING, "role": "agent"},
            channel_id=EVERYTHING,
        ),
    )
    await start(pool, EVERYTHING)
    assert await rows(pool, "SELECT status, address FROM sends") == [("held", PHONE)]
    await pool.execute(
        """
        INSERT INTO sluice_core.progress (topic, partition, consumer_group, owner, generation, next_offset, lease)
        VALUES ('messages.inbound', 0, $1 || '-inbound', $1, 1, 1, gen_random_uuid())
        """,
        EVERYTHING,
    )
    await pool.execute(
        """
        INSERT INTO sluice_core.dead_letters
            (id, source_topic, source_partition, source_offset, error, key, value, headers)
        OVERRIDING SYSTEM VALUE VALUES (1, 'messages.inbound', 0, 7, $1, $2, $2, $3)
        """,
        EVERYTHING,
        EVERYTHING.encode(),
        msgspec.msgpack.encode([(EVERYTHING, EVERYTHING.encode()), ("binary", b"\xff\x1b[2J")]),
    )
    return broker


@pytest.fixture
def run(
    hostile: Broker,
    database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., Ended]:
    """Runs a command in this process, for a terminal wide enough that nothing breaks."""
    monkeypatch.chdir(tmp_path)  # one of them writes a file
    for name in [name for name in os.environ if name.startswith("SLUICE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SLUICE_DATABASE_URL", database)
    monkeypatch.setenv("SLUICE_KAFKA_BOOTSTRAP", hostile.bootstrap)
    monkeypatch.setenv("COLUMNS", "2000")
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)

    def run_one(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["sluice", *arguments])
        with pytest.raises(SystemExit) as end:
            main.main()
        told = capsys.readouterr()
        return Ended(int(end.value.code or 0), told.out, told.err, 0)

    return run_one


def test_what_others_wrote_is_shown_and_steers_nothing(run: Callable[..., Ended]) -> None:
    for command in READING:
        for ended in (run(*command), run(*command, "--wide"), run(*command, "--json")):
            assert ended.out or ended.err
            assert inert(ended.out + ended.err), command


def test_a_page_shows_it_beside_its_label(run: Callable[..., Ended]) -> None:
    for command, labels in PAGES.items():
        page = run(*command, *WORKSPACE).out
        assert inert(page)
        shown = {line.split("  ")[0] for line in page.splitlines() if visible(EVERYTHING).rstrip() in line}
        assert shown == labels, command


@pytest.mark.parametrize(("command", "columns"), WRITTEN.items())
def test_a_table_shows_it_in_full_and_json_as_it_was(
    command: str, columns: set[str], run: Callable[..., Ended]
) -> None:
    assert run(command, "--wide").out.count(visible(EVERYTHING)) == len(columns)

    document = json.loads(run(command, "--json").out)
    found = [row for row in (document["progress"] if command == "status" else document) if row.get("partition", 0) == 0]
    assert [{name for name, value in row.items() if EVERYTHING in str(value)} for row in found] == [columns]


def test_a_dead_letter_shows_its_error_headers_key_and_value(run: Callable[..., Ended]) -> None:
    shown = run("dead-letters", "show", "1", "--content").out
    assert shown.count(visible(EVERYTHING)) == 5  # the header, by name and value, is two of them
    document = json.loads(run("dead-letters", "show", "1", "--content", "--json").out)
    assert [document[name] for name in ("error", "key", "value")] == [EVERYTHING] * 3
    assert document["headers"][0] == {"name": EVERYTHING, "value": EVERYTHING}


def test_what_a_command_asks_before_it_changes_something_steers_nothing(run: Callable[..., Ended]) -> None:
    for command in (
        ("progress", "rewind", "--topic", "messages.inbound", "--to", "beginning"),
        ("progress", "skip", "--topic", "messages.inbound", "--to", "end"),
        ("progress", "rebind"),
        ("dead-letters", "replay", "--reason", "a"),
        ("dead-letters", "dismiss", "--reason", "a"),
        ("holds", "--workspace", EVERYTHING),
        ("progress", "rewind", "--topic", EVERYTHING, "--to", "beginning"),
        ("dead-letters", "list", "--topic", EVERYTHING),
    ):
        for ended in (run(*command, *_yes(command)), run(*command, *_yes(command), "--json")):
            assert inert(ended.out + ended.err), command


def _yes(command: tuple[str, ...]) -> tuple[str, ...]:
    return ("--yes",) if command[0] == "progress" else ()
