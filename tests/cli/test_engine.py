"""`sluice engine`: tells an engine until it is stopped; refuses settings with which the engine could not trust it."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from tests.cli.commands import Sluice
from tests.engines.receiver import receiving
from tests.engines.test_feeding import control, tell
from tests.support.brokers import Broker
from workers.cli import engine_commands
from workers.engines.control import CONTROL
from workers.errors import ExitCode, SettingsError

SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - an example of the standard


async def test_a_webhook_is_told_until_sigterm(broker: Broker, tmp_path: Path) -> None:
    await broker.create(CONTROL)
    await tell(broker, "a", control("run_halted", "r", reason="contact_blocked"))
    sluice = Sluice(tmp_path, kafka_bootstrap=broker.bootstrap, webhook_secret=SECRET, fetch_max_wait_ms=20)
    with (
        receiving() as receiver,
        sluice.running("engine", "webhook", "--url", receiver.url, "--name", "n8n") as running,
    ):
        running.until_consuming()
        assert receiver.ids == ["a"]
        ended = running.stop()
    assert ended.code == ExitCode.CLEAN
    assert "sluice-engine-n8n" in ended.err


HOOK: Final = partial(engine_commands.webhook, "http://h/")


@pytest.mark.parametrize(
    ("command", "set_", "complaint"),
    [
        (HOOK, {}, "SLUICE_WEBHOOK_SECRET is not set"),
        (HOOK, {"WEBHOOK_SECRET": "secret"}, "SLUICE_WEBHOOK_SECRET: must be whsec_ and"),
        (partial(engine_commands.webhook, "ftp://h/"), {"WEBHOOK_SECRET": SECRET}, "--url must be http://host/path"),
        (partial(engine_commands.webhook, "http://u:p@h/"), {"WEBHOOK_SECRET": SECRET}, "--url must be http://host"),
        (engine_commands.dbos, {}, "SLUICE_DBOS_DATABASE_URL is not set"),
        (engine_commands.dbos, {"DBOS_DATABASE_URL": "sqlite:///x"}, "SLUICE_DBOS_DATABASE_URL: must be a libpq URL"),
    ],
)
def test_what_it_is_not_started_with(
    command: Callable[[], None],
    set_: dict[str, str],
    complaint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in set_.items():
        monkeypatch.setenv(f"SLUICE_{name}", value)

    with pytest.raises(SettingsError, match=complaint):
        command()
