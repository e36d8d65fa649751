"""The receiver as users run it: live at once, ready once Kafka answers, and with the exit codes of a worker."""

import asyncio
import signal
import socket
import urllib.error
import urllib.request
from pathlib import Path
from typing import Final

import pytest

from connectors.receiver.process import TOPICS
from tests.cli.commands import Sluice
from tests.connectors.serving import Server
from tests.connectors.test_receiver import TELEGRAM, TOKEN, update
from tests.support.brokers import Broker
from tests.support.ports import free_port
from workers.dev.relay import Reader, Writer, relayed
from workers.errors import SettingsError
from workers.process.http_server import accept_connections, listening

ENTRY: Final = (
    '[[channel]]\nworkspace_id = "acme"\nchannel_id = "tg-main"\nprovider = "telegram"\n'
    'bot_token = "env:BOT_TOKEN"\nsecret_token = "env:SECRET_TOKEN"\n'
)


def status(port: int, path: str) -> int:
    """The status of a page of the metrics server; 0 if nobody listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0


def sluice(folder: Path, monkeypatch: pytest.MonkeyPatch, kafka: str, **settings: object) -> Sluice:
    monkeypatch.setenv("BOT_TOKEN", TELEGRAM.keys.bot_token.text)
    monkeypatch.setenv("SECRET_TOKEN", TELEGRAM.keys.secret_token.text)
    file = folder / "channels.toml"
    file.write_text(ENTRY, encoding="utf-8")
    return Sluice(folder, CHANNELS_FILE=str(file), KAFKA_BOOTSTRAP=kafka, LOG_LEVEL="debug", **settings)


async def test_it_is_live_at_once_and_ready_once_kafka_answers(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def connect() -> tuple[Reader, Writer]:
        host, _, port = broker.bootstrap.rpartition(":")
        return await asyncio.open_connection(host, int(port))

    await broker.create(*TOPICS)
    port, metrics = free_port(), free_port()
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        command = sluice(tmp_path, monkeypatch, f"127.0.0.1:{bound.getsockname()[1]}", METRICS_PORT=metrics)
        with command.running("receive", "--port", str(port)) as running:
            running.until(lambda: status(metrics, "/live") == 200)
            assert (status(metrics, "/ready"), status(metrics, "/other")) == (503, 404)
            bound.listen()
            with relayed(bound, connect):
                running.until(lambda: status(metrics, "/ready") == 200)
                server = Server(port)
                answers = [
                    await server.posts(TELEGRAM, update("A word of Ada's"), TOKEN),
                    await server.posts(TELEGRAM, b'{"update_id": "A word of Ada\'s"', TOKEN),
                    await server.posts(
                        TELEGRAM, update("A word of Ada's"), {"x-telegram-bot-api-secret-token": "guess"}
                    ),
                    await server.asks("GET", "/A%20word%20of%20Ada%27s"),
                ]
                async with server.connected() as connection:
                    await connection.send(b"A word of Ada's \x1b[2J\r\n\r\n")
                    await connection.is_closed()
                written = await asyncio.to_thread(
                    lambda: urllib.request.urlopen(f"http://127.0.0.1:{metrics}/metrics", timeout=10).read().decode()
                )
                ended = await asyncio.to_thread(running.stop, signal.SIGTERM)

    assert [answer.status for answer in answers] == [200, 200, 403, 404]
    assert 'sluice_webhooks_total{answer="forbidden",provider="telegram"} 1.0' in written
    assert 'sluice_webhook_records_total{provider="telegram",topic="messages.inbound"} 1.0' in written
    assert ended.code == 0
    assert '"unmapped"' in ended.err
    for never in (
        TELEGRAM.keys.bot_token.text,
        TELEGRAM.keys.secret_token.text,
        "word of Ada",
        "guess",
        "\x1b",
        "Traceback",
    ):
        assert never not in ended.err + written, never


def test_without_kafka_it_ends_with_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = sluice(tmp_path, monkeypatch, f"127.0.0.1:{free_port()}", UNREACHABLE_AFTER_S=1)
    ended = command.run("receive", "--port", "0")

    assert (ended.code, ended.out) == (1, "")
    assert "Traceback" not in ended.err


def test_of_two_that_bind_a_port_at_the_same_moment_one_is_told() -> None:
    with listening("127.0.0.1", 0) as first, listening("127.0.0.1", first.getsockname()[1]) as second:
        accept_connections(first)
        with pytest.raises(SettingsError, match="is not available"):
            accept_connections(second)


def test_a_port_that_is_taken_ends_with_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = sluice(tmp_path, monkeypatch, "127.0.0.1:9")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        for name in ("receive", "simulate"):
            ended = command.run(name, "--port", str(taken.getsockname()[1]))
            assert ended.code == 2
            assert "is not available" in ended.err
