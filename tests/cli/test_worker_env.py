"""`sluice migrate --worker-env`, `--sender-env`, `--console-env`; the setup of docker-compose.yml: logins and key."""

import os
import re
import stat
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
import yaml

from schemas.topics import EVERY_TOPIC, TOPICS
from tests.cli.commands import SLUICE, Ended, Sluice
from tests.cli.sending import TOPIC, message, read_env, seconds_until_shown
from tests.support.brokers import Broker
from workers.dev.postgres import embedded_postgres
from workers.errors import ExitCode
from workers.store.migrate import ROLES

COMPOSE: Final = Path(__file__).resolve().parents[2] / "docker-compose.yml"
LOGIN: Final = "sluice_app_mine"
SENDER: Final = "sluice_send_mine"
CONSOLE: Final = "sluice_console_mine"
AT_WORK: Final = """
    SELECT array_agg(DISTINCT usename::text) FROM pg_stat_activity
    WHERE datname = 'mine' AND application_name LIKE 'sluice/%'
"""
SENDING: Final = AT_WORK.replace("sluice/%", "sluice-sender")
CHANNELS: Final = """
[[channel]]
workspace_id = "acme"
channel_id = "tg-main"
provider = "telegram"
bot_token = "file:secret"
secret_token = "file:secret"
"""
POWERS: Final = """
    SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls FROM pg_roles WHERE rolname = $1
"""
MEMBER: Final = "SELECT array_agg(roleid::regrole::text) FROM pg_auth_members WHERE member = $1::regrole"
KEY: Final = "0123456789abcdef" * 4


class Server(NamedTuple):
    """`url` is of a superuser who is asked for no password; the logins of workers and senders are."""

    url: str
    owner: str
    admin: asyncpg.Connection


@pytest.fixture(scope="module")
def served() -> Iterator[str]:
    """A server of its own: logins belong to the whole server."""
    with tempfile.TemporaryDirectory(prefix="sluice-postgres-", ignore_cleanup_errors=True) as folder:
        data = Path(folder) / "data"
        with embedded_postgres(data, {"fsync": "off"}) as url:
            access = data / "pg_hba.conf"
            access.write_text(f"local all {LOGIN},{SENDER},{CONSOLE} scram-sha-256\n{access.read_text()}")
            yield url


@pytest.fixture
async def server(served: str) -> AsyncIterator[Server]:
    admin = await asyncpg.connect(served)
    await admin.execute("SELECT pg_reload_conf()")
    await admin.execute("CREATE ROLE owner LOGIN CREATEROLE")
    await admin.execute("CREATE DATABASE mine OWNER owner")
    superuser, owner = (
        urlunsplit(urlsplit(served)._replace(netloc=n, path="/mine")) for n in ("postgres:@", "owner:@")
    )
    yield Server(superuser, owner, admin)
    await admin.execute("DROP DATABASE mine WITH (FORCE)")
    for role in (LOGIN, SENDER, CONSOLE, *ROLES, "owner"):
        await admin.execute(f"DROP ROLE IF EXISTS {role}")
    await admin.close()


def migrated(folder: Path, url: str, file: Path, option: str = "--worker-env", **settings: object) -> Ended:
    return Sluice(folder, DATABASE_URL=url, **settings).run("migrate", option, str(file))


async def who(env: Path) -> str:
    """Whom the file logs in."""
    connection = await asyncpg.connect(read_env(env)["SLUICE_DATABASE_URL"])
    try:
        return str(await connection.fetchval("SELECT session_user"))
    finally:
        await connection.close()


async def test_the_login_and_the_key_are_made_once_and_kept(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "worker.env"
    first = migrated(tmp_path, server.owner, file)
    assert first.code == ExitCode.CLEAN, first.err
    held = file.read_text()
    assert first.out.endswith(f"workers log in as {LOGIN}: see {file}\n")
    assert await who(file) == LOGIN
    assert re.fullmatch("[0-9a-f]{64}", read_env(file)["SLUICE_HASH_KEY"])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert await server.admin.fetchval(POWERS, LOGIN) is False
    assert await server.admin.fetchval(MEMBER, LOGIN) == ["sluice_worker"]

    again = migrated(tmp_path, server.owner, file)
    assert (again.code, file.read_text()) == (ExitCode.CLEAN, held)
    assert await who(file) == LOGIN
    secrets = (*read_env(file).values(), urlsplit(read_env(file)["SLUICE_DATABASE_URL"]).password)
    assert not [s for s in secrets if s and s in first.out + first.err + again.out + again.err]


async def test_what_is_missing_on_the_server_is_made_again_with_the_same_password(
    server: Server, tmp_path: Path
) -> None:
    file = tmp_path / "worker.env"
    migrated(tmp_path, server.owner, file)
    held = file.read_text()
    for change in (f"DROP ROLE {LOGIN}", f"ALTER ROLE {LOGIN} PASSWORD 'other'", f"REVOKE sluice_worker FROM {LOGIN}"):
        await server.admin.execute(change)
        assert migrated(tmp_path, server.owner, file).code == ExitCode.CLEAN
        assert (await who(file), file.read_text()) == (LOGIN, held)
        assert await server.admin.fetchval("SELECT pg_has_role($1, 'sluice_worker', 'USAGE')", LOGIN)


async def test_senders_get_a_login_of_their_own_and_no_key(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "sender.env"
    first = migrated(tmp_path, server.owner, file, "--sender-env", HASH_KEY=KEY)
    assert first.code == ExitCode.CLEAN, first.err
    assert first.out.endswith(f"senders log in as {SENDER}: see {file}\n")
    assert read_env(file).keys() == {"SLUICE_DATABASE_URL"}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert await who(file) == SENDER
    assert await server.admin.fetchval(POWERS, SENDER) is False
    assert await server.admin.fetchval(MEMBER, SENDER) == ["sluice_sender"]
    assert (urlsplit(read_env(file)["SLUICE_DATABASE_URL"]).password or "?") not in first.out + first.err

    held = file.read_text()
    assert migrated(tmp_path, server.owner, file, "--sender-env").code == ExitCode.CLEAN
    assert (await who(file), file.read_text()) == (SENDER, held)

    file.unlink()  # nothing else depends on it: there is a new password
    assert migrated(tmp_path, server.owner, file, "--sender-env").code == ExitCode.CLEAN
    assert await who(file) == SENDER
    assert file.read_text() != held


async def test_the_console_gets_a_login_of_its_own_and_the_key_of_the_workers(server: Server, tmp_path: Path) -> None:
    workers, file = tmp_path / "worker.env", tmp_path / "console.env"
    alone = migrated(tmp_path, server.owner, file, "--console-env")
    assert (alone.code, file.exists()) == (ExitCode.SETUP, False)
    assert "set SLUICE_HASH_KEY, or give --worker-env with their file" in alone.err

    both = "--worker-env", str(workers), "--console-env", str(file)
    for _ in range(2):
        made = Sluice(tmp_path, DATABASE_URL=server.owner).run("migrate", *both)
        assert made.code == ExitCode.CLEAN, made.err
        assert made.out.endswith(f"the console logs in as {CONSOLE}: see {file}\n")
        assert read_env(file)["SLUICE_HASH_KEY"] == read_env(workers)["SLUICE_HASH_KEY"]
        assert (await who(file), stat.S_IMODE(file.stat().st_mode)) == (CONSOLE, 0o600)
    assert await server.admin.fetchval(POWERS, CONSOLE) is False
    assert await server.admin.fetchval(MEMBER, CONSOLE) == ["sluice_console"]
    assert not [value for value in read_env(file).values() if value in made.out + made.err]

    file.unlink()  # nothing else depends on it, and the key is known
    assert Sluice(tmp_path, DATABASE_URL=server.owner).run("migrate", *both).code == ExitCode.CLEAN
    assert await who(file) == CONSOLE
    differs = migrated(tmp_path, server.owner, file, "--console-env", HASH_KEY=KEY)
    assert (differs.code, "SLUICE_HASH_KEY differs from" in differs.err) == (ExitCode.SETUP, True)
    file.unlink()
    assert migrated(tmp_path, server.owner, file, "--console-env", HASH_KEY=KEY.upper()).code == ExitCode.CLEAN
    assert read_env(file)["SLUICE_HASH_KEY"] == KEY


async def test_workers_and_senders_do_not_share_a_file(server: Server, tmp_path: Path) -> None:
    files = {"--worker-env": tmp_path / "worker.env", "--sender-env": tmp_path / "sender.env"}
    for option, file in files.items():
        assert migrated(tmp_path, server.owner, file, option).code == ExitCode.CLEAN
    held = {option: file.read_text() for option, file in files.items()}

    senders = migrated(tmp_path, server.owner, files["--sender-env"])
    assert (senders.code, "holds no login of sluice_worker" in senders.err) == (ExitCode.SETUP, True)
    workers = migrated(tmp_path, server.owner, files["--worker-env"], "--sender-env")
    assert (workers.code, "has other lines than SLUICE_DATABASE_URL:" in workers.err) == (ExitCode.SETUP, True)
    assert {option: file.read_text() for option, file in files.items()} == held


async def test_a_file_that_was_lost_is_asked_for_and_a_known_key_makes_a_new_one(
    server: Server, tmp_path: Path
) -> None:
    file = tmp_path / "worker.env"
    migrated(tmp_path, server.owner, file, HASH_KEY=KEY)
    held = file.read_text()
    file.unlink()

    lost = migrated(tmp_path, server.owner, file)
    assert lost.code == ExitCode.SETUP
    assert "bring the file back, or set SLUICE_HASH_KEY" in lost.err
    assert not file.exists()

    assert migrated(tmp_path, server.owner, file, HASH_KEY=KEY.upper()).code == ExitCode.CLEAN
    assert read_env(file)["SLUICE_HASH_KEY"] == KEY
    assert file.read_text() != held
    assert await who(file) == LOGIN


@pytest.mark.parametrize(
    ("content", "key", "told"),
    [
        ("SLUICE_KAFKA_BOOTSTRAP=x\n", None, "has other lines"),
        (f"SLUICE_HASH_KEY={KEY}\n", KEY[::-1], "SLUICE_HASH_KEY differs from"),
        (b"\xff", None, "cannot be read"),
    ],
)
async def test_a_file_of_others_and_another_key_are_refused(
    server: Server, tmp_path: Path, content: str | bytes, key: str | None, told: str
) -> None:
    file = tmp_path / "worker.env"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    ended = migrated(tmp_path, server.owner, file, **({"HASH_KEY": key} if key else {}))
    assert ended.code == ExitCode.SETUP
    assert told in ended.err
    assert KEY not in ended.err
    assert migrated(tmp_path, server.owner, tmp_path / "none" / "worker.env").code == ExitCode.SETUP


async def test_the_setup_of_the_services_leads_to_processes_that_work(
    server: Server, any_broker: Broker, tmp_path: Path
) -> None:
    services = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
    worker, [script] = services["inbound"], services["setup"]["command"]
    folders = volume, of_senders, of_console = [tmp_path / f"volume{of}" for of in ("", "-sender", "-console")]
    for folder in folders:
        folder.mkdir()
    script = script.replace(worker["working_dir"], str(volume))
    if any_broker.kind == "embedded":  # it makes no topics that a client describes
        await any_broker.create(*TOPICS)
        script, _ = script.split(" && ")
    kafka = {
        "KAFKA_BOOTSTRAP": any_broker.bootstrap,
        "TOPIC_PREFIX": any_broker.topic_prefix,
        "GROUP_PREFIX": any_broker.group_prefix,
    }
    held = []
    for _ in range(2):
        _run(script, tmp_path, {"DATABASE_URL": server.url, **kafka})
        held.append([(folder / ".env").read_text() for folder in folders])
    assert held[0] == held[1]
    assert [await who(folder / ".env") for folder in folders] == [LOGIN, SENDER, CONSOLE]

    with Sluice(volume, **kafka, SESSION_TIMEOUT_MS=6_000).running(*worker["command"]) as running:
        running.until_consuming()
        assert await server.admin.fetchval(AT_WORK) == [LOGIN]
        await any_broker.produce(TOPIC, [(b"acme:x", message())])
        await seconds_until_shown(server.url, 1)
        assert running.stop().code == ExitCode.CLEAN
    await _sends(services["sender"], of_senders, kafka, server)
    if any_broker.kind == "embedded":
        await any_broker.create(*EVERY_TOPIC)
    with Sluice(of_console, **kafka).running("serve", "--port", "0") as running:
        running.until_said("ready")
        assert running.stop().code == ExitCode.CLEAN


async def _sends(service: dict[str, Any], folder: Path, kafka: dict[str, str], server: Server) -> None:
    (folder / "channels.toml").write_text(CHANNELS, encoding="utf-8")
    (folder / "secret").write_text("of-this-test", encoding="utf-8")
    with Sluice(folder, **kafka, CHANNELS_FILE="channels.toml").running(*service["command"]) as running:
        running.until_said("ready")
        assert await server.admin.fetchval(SENDING) == [SENDER]
        assert running.stop().code == ExitCode.CLEAN


def _run(script: str, folder: Path, settings: Mapping[str, str]) -> None:
    others = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")}
    own = {f"SLUICE_{name}": value for name, value in settings.items()}
    path = {"PATH": f"{SLUICE.parent}:{others['PATH']}"}
    done = subprocess.run(  # noqa: S603 - the words of our own services
        ["/bin/sh", "-c", script], cwd=folder, env=others | own | path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
