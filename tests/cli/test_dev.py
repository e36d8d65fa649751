"""`sluice dev`: one command, then any client can produce and read SQL; everything it starts ends with it."""

import os
import re
import signal
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest
from confluent_kafka import KafkaError, Producer

from tests.cli.commands import SLUICE, STOP_S, Running, Sluice
from tests.cli.sending import read_env, seconds_until_shown, send_with_aiokafka, send_with_librdkafka, servers_of, shown
from tests.support.ports import free_port
from workers.app.settings import load_settings
from workers.dev.envfile import env_file
from workers.errors import ExitCode, SettingsError

ARGUMENTS = ("dev", "--data-dir", "data", "--env-file", "env")


@pytest.fixture
def folder() -> Iterator[Path]:
    """As `tmp_path`, but not below pytest's own folder: where PostgreSQL runs as another user, it must keep access, and
    whatever run of pytest starts meanwhile takes it away there."""
    with tempfile.TemporaryDirectory(prefix="sluice-dev-", ignore_cleanup_errors=True) as made:
        yield Path(made)


def _servers(running: Running, folder: Path) -> tuple[str, str]:
    running.until((folder / "env").exists)
    return servers_of(read_env(folder / "env"))


def _nothing_is_left(folder: Path) -> bool:
    # PostgreSQL removes its pid file as the last thing it does.
    return not (folder / "data/postgres/postmaster.pid").exists() and not (folder / "env").exists()


async def test_whoever_sees_the_env_file_may_produce_and_read_and_the_data_outlives_the_broker(folder: Path) -> None:
    sluice = Sluice(folder)
    with sluice.running(*ARGUMENTS) as running:
        database, bootstrap = _servers(running, folder)
        assert stat.S_IMODE((folder / "env").stat().st_mode) == 0o600
        send_with_librdkafka(bootstrap)
        first = await seconds_until_shown(database, 1)
        await send_with_aiokafka(bootstrap)
        assert min(first, await seconds_until_shown(database, 2)) < 1
        second = sluice.run("dev", "--data-dir", "data")
        assert (second.code, "another process" in second.err) == (ExitCode.SETUP, True)
        ended = running.stop(signal.SIGTERM)
    assert (ended.code, _nothing_is_left(folder)) == (ExitCode.CLEAN, True)
    assert database in ended.out
    assert bootstrap in ended.out

    with sluice.running(*ARGUMENTS) as running:
        database, bootstrap = _servers(running, folder)
        assert await shown(database) == 2
        send_with_librdkafka(bootstrap)
        send_with_librdkafka(bootstrap, value=b"{not json")
        send_with_librdkafka(bootstrap)
        await seconds_until_shown(database, 4)
        ended = running.stop(signal.SIGINT)
    assert (ended.code, _nothing_is_left(folder)) == (ExitCode.CLEAN, True)
    assert ended.seconds < STOP_S
    [told] = [line for line in ended.err.splitlines() if "dead_letters" in line]
    assert "messages.inbound[" in told
    assert "JSON is malformed" in told


async def test_ports_are_those_that_were_asked_for(folder: Path) -> None:
    ports = [str(free_port()) for _ in range(3)]
    options = ("--kafka-port", ports[0], "--postgres-port", ports[1], "--console-port", ports[2])
    with Sluice(folder).running(*ARGUMENTS, *options) as running:
        database, bootstrap = _servers(running, folder)
        assert bootstrap == f"127.0.0.1:{ports[0]}"
        assert urlsplit(database).port == int(ports[1])
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(f"postgresql://postgres@127.0.0.1:{ports[1]}/postgres")
        await send_with_aiokafka(bootstrap)
        await seconds_until_shown(database, 1)
        taken = Sluice(folder).run("dev", "--data-dir", "other", "--kafka-port", ports[0])
        assert (taken.code, f"--kafka-port {ports[0]} cannot be used" in taken.err) == (ExitCode.SETUP, True)
        running.until(lambda: "/login/" in running.out)
        [link] = re.findall(rf"http://127\.0\.0\.1:{ports[2]}/login/\S+", running.out)
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(link)).status_code == 303
            assert (await client.get(link)).status_code == 403
        assert running.stop().code == ExitCode.CLEAN


def test_a_typo_in_a_topic_is_refused_and_named(folder: Path) -> None:
    with Sluice(folder).running(*ARGUMENTS) as running:
        _, bootstrap = _servers(running, folder)
        told: list[KafkaError | None] = []
        producer = Producer({"bootstrap.servers": bootstrap, "topic.metadata.propagation.max.ms": 1})
        producer.produce("messages.inbuond", b"{}", on_delivery=lambda error, _: told.append(error))
        assert producer.flush(20) == 0
        running.until_said("unknown_topic")
        ended = running.stop()
    [error] = told
    assert error is not None
    assert error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART
    assert '"nearest": "messages.inbound"' in ended.err


def test_the_three_commands_of_the_manual_do_what_they_say(folder: Path) -> None:
    manual = Path(__file__).parents[2] / "docs"
    start, produce, look = re.findall(r"```sh\n(.*?)```", (manual / "connectors.md").read_text(encoding="utf-8"), re.S)[
        :3
    ]
    (folder / "docs").symlink_to(manual)
    with Sluice(folder).running(*start.split("#")[0].split()[1:]) as running:
        running.until((folder / ".env").exists)
        _in_shell(produce, folder)
        running.until(lambda: " 1 " in _in_shell(look, folder))
        running.stop()


def _in_shell(command: str, folder: Path) -> str:
    path = {"PATH": f"{SLUICE.parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["sh", "-c", command], cwd=folder, env=path, capture_output=True, text=True, check=False)  # noqa: S603, S607 - from our manual
    return done.stdout


def test_what_a_killed_process_left_is_taken_over_and_ended(folder: Path) -> None:
    sluice = Sluice(folder)
    with sluice.running(*ARGUMENTS) as running:
        _servers(running, folder)
        running.kill()
    assert not _nothing_is_left(folder)

    with sluice.running(*ARGUMENTS) as running:
        running.until_consuming()
        ended = running.stop()

    assert (ended.code, _nothing_is_left(folder)) == (ExitCode.CLEAN, True)


def test_a_signal_before_everything_is_up_leaves_nothing_behind(folder: Path) -> None:
    with Sluice(folder).running(*ARGUMENTS) as running:
        running.until((folder / "data/postgres").exists)
        ended = running.stop()

    assert (ended.code, _nothing_is_left(folder)) == (ExitCode.CLEAN, True)


def test_an_env_file_of_somebody_else_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "env"
    path.write_text("EDITOR=vi\n", encoding="utf-8")

    with pytest.raises(SettingsError, match="other lines"), env_file(path):
        pass

    assert path.read_text(encoding="utf-8") == "EDITOR=vi\n"


def test_a_stale_env_file_is_gone_before_anything_starts(tmp_path: Path) -> None:
    path = tmp_path / "env"
    path.write_text("SLUICE_DATABASE_URL=postgresql://old/one\n", encoding="utf-8")

    with env_file(path) as write:
        assert not path.exists()
        write(
            load_settings(database_url="postgresql://u:p@h/d", kafka_bootstrap="h:9092", kafka_sasl_mechanism="PLAIN")
        )
        written = read_env(path)

    assert servers_of(written) == ("postgresql://u:p@h/d", "h:9092")
    assert written["SLUICE_KAFKA_SASL_MECHANISM"] == "PLAIN"
    assert not path.exists()
