"""Each role with a login of its own: what only reads, readers can use; what bills, billing can; the rest is refused in
one clear line."""

import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import pytest
import typer
from asyncpg import Pool

from schemas.topics import TOPICS
from tests.cli.commands import Ended
from tests.support.brokers import Broker
from tests.workers.asking import ask, give
from tests.workers.ingesting import ingest
from tests.workers.records import message
from tests.workers.sending import protect, request, run, send
from workers.cli import main
from workers.errors import ExitCode

CONTACT: Final = "0e37df36-f698-11e6-8dd4-cb9ced3df976"
SEND: Final = "40bdcd0f-d952-56a4-920d-da4f6a81671c"
COMMAND: Final = "3f0e61f5-8d5b-4c36-9d0a-6d1a1a3a3a10"
WORKSPACE: Final = ("--workspace", "acme")
EXPLAINING: Final = (*WORKSPACE, "--cycle", "2026-03-01T00:00:00Z", "--contact", CONTACT)

BILLING: Final = [
    ["mac"],
    ["mac", "list"],
    ["mac", "list", "--account", "group"],
    ["mac", "contacts", *WORKSPACE, "--cycle", "2026-03-01"],
    ["mac", "adjustments", *WORKSPACE, "--cycle", "2026-03-01"],
    ["mac", "explain", *EXPLAINING],
    ["mac", "chart", *WORKSPACE],
    ["mac", "export", *WORKSPACE, "--cycle", "2026-03-01", "--format", "csv", "--out", "march.csv"],
    ["mac", "verify", *WORKSPACE],
]
READING: Final = [
    *BILLING,
    ["status"],
    ["holds"],
    ["holds", "list"],
    ["holds", "show", SEND, *WORKSPACE],
    ["sends", "list"],
    ["sends", "list", *WORKSPACE, "--status", "held"],
    ["sends", "list", *WORKSPACE, "--contact", CONTACT],
    ["sends", "list", *WORKSPACE, "--group", "g"],
    ["sends", "show", SEND, *WORKSPACE],
    ["sends", "group", "g", *WORKSPACE],
    ["runs", "list", *WORKSPACE],
    ["runs", "list", *WORKSPACE, "--contact", CONTACT],
    ["runs", "show", "r1", *WORKSPACE],
    ["may-send", *WORKSPACE, "--address", "+4915100000001", "--channel", "whatsapp"],
    ["impact", "block", "--contact-id", CONTACT, *WORKSPACE],
    ["impact", "protect", "--company-id", "c", *WORKSPACE],
    ["deletions"],
    ["workspaces"],
    ["settings", *WORKSPACE],
    ["audit", *WORKSPACE],
    ["audit", *WORKSPACE, "--actor", "olga", "--command", "create-profile", "--since", "2026-03-01"],
    ["commands", "show", COMMAND, *WORKSPACE],
    ["merges", *WORKSPACE],
    ["merge-suggestions", *WORKSPACE],
    ["merge-suggestions", *WORKSPACE, "--contact", CONTACT],
    ["drops", *WORKSPACE],
    ["drops", *WORKSPACE, "--contact", CONTACT],
    ["profiles", "list", *WORKSPACE],
    ["profiles", "moments", "p-1", *WORKSPACE],
    ["profiles", "find", "a", *WORKSPACE],
    ["profiles", "show", "p-1", *WORKSPACE],
    ["contacts", "list", *WORKSPACE],
    ["contacts", "list", *WORKSPACE, "--tag", "t"],
    ["contacts", "list", *WORKSPACE, "--blocked"],
    ["contacts", "channels", CONTACT, *WORKSPACE],
    ["contacts", "messages", CONTACT, *WORKSPACE],
    ["contacts", "find", "a", *WORKSPACE],
    ["contacts", "show", CONTACT, *WORKSPACE],
    ["progress"],
    ["progress", "show"],
    ["dead-letters"],
    ["dead-letters", "list", "--status", "any"],
    ["dead-letters", "show", "1"],
    ["dead-letters", "show", "1", "--content"],
    ["dead-letters", "replay", "1", "--dry-run"],
    ["dead-letters", "dismiss", "--topic", "messages.inbound", "--dry-run"],
]
CHANGING: Final = [
    ["dead-letters", "replay", "1"],
    ["dead-letters", "dismiss", "1"],
    ["progress", "rewind", "--topic", "messages.inbound", "--to", "beginning", "--yes"],
    ["progress", "skip", "--topic", "messages.inbound", "--to", "end", "--yes"],
    ["progress", "rebind", "--yes"],
    ["worker", "inbound"],
    ["worker", "upkeep"],
    ["migrate"],
]
NO_DATABASE: Final = {
    *("demo", "dev", "engine", "events", "topics", "receive", "records", "simulate", "channels"),
    *("version",),
}
OF_SENDERS: Final = {"send"}
OF_CONSOLE: Final = {"serve", "users", "tokens"}
"""Tried with the roles of senders and of the console where they are tested."""
OF_ANY: Final = {"doctor"}
"""Says itself which role a login lacks."""
GIVER: Final = (*WORKSPACE, "--actor", "a", "--role", "owner")
GIVING: Final = [
    ["add-tag", *GIVER, "--contact-id", CONTACT, "--tag", "t"],
    ["holds", "confirm", SEND, *GIVER],
    ["holds", "reject", SEND, *GIVER],
    ["sends", "request", *GIVER, "--channel", "c", "--kind", "sms", "--address", "+4915100000001", "--text", "t"],
    ["connectors", "verify", *WORKSPACE, "--channel", "c", "--address", "+4915100000001"],
    ["contacts", "export", *GIVER],
    ["mac", "close", *GIVER, "--cycle", "2026-03-01", "--reason", "r"],
    ["import", "contacts", "people.csv", *GIVER],
    ["import", "profiles", "people.csv", *GIVER],
]
REFUSED: Final = [*(command for command in READING if command not in BILLING), *CHANGING, *GIVING]


@pytest.fixture
async def world(pool: Pool, broker: Broker) -> AsyncIterator[Broker]:
    """A database with something of everything that is shown, and one login for each role."""
    await broker.create(*TOPICS)
    await broker.produce("messages.inbound", [(b"k", b"v"), (b"k", b"v")], partition=0)
    await pool.execute(
        """
        INSERT INTO sluice_core.dead_letters (id, source_topic, source_partition, source_offset, error, key, value)
        OVERRIDING SYSTEM VALUE VALUES (1, 'messages.inbound', 0, 7, 'value: not JSON', 'k', 'v');
        INSERT INTO sluice_core.progress
            (topic, partition, consumer_group, lease, owner, generation, backend_pid, backend_start, next_offset)
        SELECT 'messages.inbound', 0, 'other-inbound', gen_random_uuid(), 'host/1', 1, pid, backend_start, 1
        FROM pg_stat_activity WHERE pid = pg_backend_pid();
        INSERT INTO sluice_core.accounts (workspace_id, account) VALUES ('acme', 'group');
        """
    )
    await ingest(pool, message())
    await pool.execute("UPDATE contacts SET contact_id = $1", CONTACT)
    await pool.execute("UPDATE identities SET contact_id = $1", CONTACT)
    await pool.execute("UPDATE mac_contacts SET contact_id = $1", CONTACT)
    await give(pool, ask("create_profile", profile_id="p-1", name="Ada", command_id=UUID(COMMAND)))
    await protect(pool, UUID(CONTACT))
    await send(pool, request("s1", group_id="g"))
    await run(pool, "r1")
    for role in ("reader", "billing"):
        await pool.execute(f"CREATE ROLE test_{role}_{os.getpid()} LOGIN IN ROLE sluice_{role}")
    yield broker
    for role in ("reader", "billing"):
        await pool.execute(f"DROP ROLE test_{role}_{os.getpid()}")


@pytest.fixture
def run_as(
    world: Broker, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ended]:
    """Runs a command in this process, as a login of that role."""
    for name in [name for name in os.environ if name.startswith("SLUICE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SLUICE_KAFKA_BOOTSTRAP", world.bootstrap)
    monkeypatch.chdir(tmp_path)

    def run(role: str, *arguments: str) -> Ended:
        login = urlsplit(database)._replace(netloc=f"test_{role}_{os.getpid()}:@")
        monkeypatch.setenv("SLUICE_DATABASE_URL", urlunsplit(login))
        monkeypatch.setattr(sys, "argv", ["sluice", *arguments])
        with pytest.raises(SystemExit) as end:
            main.main()
        told = capsys.readouterr()
        return Ended(int(end.value.code or 0), told.out, told.err, 0)

    return run


def _paths(group: typer.Typer, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for command in group.registered_commands:
        assert command.callback is not None
        yield (*before, command.name or command.callback.__name__)
    for inner in group.registered_groups:
        assert inner.typer_instance is not None
        yield from _paths(inner.typer_instance, (*before, str(inner.name)))


def test_every_command_is_tried_or_asks_no_database() -> None:
    tried = {tuple(command) for command in (*READING, *CHANGING, *GIVING)}
    untried = [
        path
        for path in _paths(main.app)
        if path[0] not in NO_DATABASE | OF_SENDERS | OF_CONSOLE | OF_ANY
        and not any(command[: len(path)] == path for command in tried)
    ]
    assert untried == []


@pytest.mark.parametrize(("role", "commands"), [("reader", READING), ("billing", BILLING)])
def test_a_role_can_use_what_reads_its_part(role: str, commands: list[list[str]], run_as: Callable[..., Ended]) -> None:
    for command in commands:
        ended = run_as(role, *command, "--json")

        assert (ended.code, ended.err) == (ExitCode.CLEAN, ""), command
        json.loads(ended.out)


@pytest.mark.parametrize(("role", "commands"), [("reader", CHANGING), ("billing", REFUSED)])
def test_what_a_role_may_not_do_is_refused_in_one_line(
    role: str, commands: list[list[str]], run_as: Callable[..., Ended]
) -> None:
    for command in commands:
        ended = run_as(role, *command)

        assert ended.code == ExitCode.SETUP, (command, ended.err)
        [told] = [line for line in ended.err.splitlines() if "lacks a right" in line]
        assert "sluice_" in told
        assert "Traceback" not in ended.err


def test_a_reader_sees_who_is_at_work_and_what_came(run_as: Callable[..., Ended]) -> None:
    [row] = [r for r in json.loads(run_as("reader", "progress", "show", "--json").out) if r["next_offset"] == 1]
    assert (row["owner"], row["at_work"]) == ("host/1", True)
    assert json.loads(run_as("reader", "dead-letters", "show", "1", "--content", "--json").out)["value"] == "v"
    [letter] = json.loads(run_as("reader", "dead-letters", "--json").out)
    assert letter["content"] == "kept"
