"""Billing accounts of several workspaces: the file, the view `mac_accounts`, and `sluice mac list --account`."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from asyncpg import Pool

from tests.cli.commands import Sluice
from tests.workers.asking import ask, give
from tests.workers.ingesting import ingest, rows
from tests.workers.records import message
from workers.app import startup
from workers.app.accounts import accounts_in_file
from workers.app.settings import load_settings
from workers.errors import ExitCode, SettingsError

MONTH = 31 * 24 * 60
SHOWN = "SELECT DISTINCT account, workspace_id FROM mac_accounts ORDER BY 1, 2"


def written(file: Path, text: str | None) -> Path | None:
    if text is None:
        return None
    file.write_text(text, encoding="utf-8")
    return file


async def started(pool: Pool, file: Path, text: str | None, *workers: str) -> list[tuple[Any, ...]]:
    """The accounts that are shown after workers started with that file; None: without one."""
    await startup.accounts(pool, load_settings(accounts_file=written(file, text)), workers)
    return await rows(pool, SHOWN)


async def test_the_billing_worker_stores_the_accounts_at_its_start(pool: Pool, tmp_path: Path) -> None:
    file = tmp_path / "accounts.toml"
    await ingest(pool, *(message(workspace_id=f"w{n}") for n in range(4)))

    both = '[accounts]\nacme = ["w0", "w1", "later"]\n"Müller & Co" = ["w2"]\n'
    stored = [("acme", "w0"), ("acme", "w1"), ("Müller & Co", "w2")]
    assert await started(pool, file, both, "inbound", "upkeep") == []
    assert sorted(await started(pool, file, both, "billing")) == sorted(stored)
    assert len(await started(pool, file, None, "billing")) == 3  # without a file nothing changes
    assert await started(pool, file, '[accounts]\nacme = ["w1", "w3"]\nother = ["w0"]', "billing", "inbound") == [
        ("acme", "w1"),
        ("acme", "w3"),
        ("other", "w0"),
    ]
    assert await started(pool, file, "[accounts]", "billing") == []


def test_a_wrong_file_is_told_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "accounts.toml"
    settings = load_settings(accounts_file=file)
    for content, said in (
        (None, "SLUICE_ACCOUNTS_FILE: the file cannot be read: No such file or directory"),
        (b"[accounts]\na = \xff", "SLUICE_ACCOUNTS_FILE: the file is not UTF-8"),
        (b"[accounts]\na = ", "SLUICE_ACCOUNTS_FILE: the file is not TOML: "),
        (b'[accounts]\na = ["w"]\nb = ["w"]', "SLUICE_ACCOUNTS_FILE: workspace 'w' belongs to two accounts"),
    ):
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(SettingsError) as refusal:
            accounts_in_file(settings)
        assert str(refusal.value).startswith(said)
        assert "\n" not in str(refusal.value)


async def test_a_worker_does_not_start_with_a_wrong_file(database: str, tmp_path: Path) -> None:
    sluice = Sluice(
        tmp_path, DATABASE_URL=database, KAFKA_BOOTSTRAP="localhost:1", ACCOUNTS_FILE=tmp_path / "none.toml"
    )
    ended = await asyncio.to_thread(sluice.run, "worker", "billing")
    assert ended.code == ExitCode.SETUP
    assert "SLUICE_ACCOUNTS_FILE: the file cannot be read" in ended.err


async def test_the_cycles_of_an_account_are_summed_by_the_day_on_which_they_begin(
    database: str, pool: Pool, tmp_path: Path
) -> None:
    for workspace_id, zone in (("tokyo", "Asia/Tokyo"), ("apia", "Pacific/Apia"), ("lima", "America/Lima")):
        await give(pool, ask("configure_workspace", workspace_id=workspace_id, set={"time_zone": zone}))
        # The same person everywhere counts in each.
        await ingest(pool, message(workspace_id=workspace_id))
    await ingest(pool, message("+4915100000002", workspace_id="lima", minutes=MONTH), message(workspace_id="foreign"))
    await pool.execute("UPDATE mac_cycles SET status = 'closed' WHERE workspace_id <> 'lima'")
    await started(pool, tmp_path / "a", '[accounts]\nacme = ["tokyo", "apia", "lima", "silent"]', "billing")
    sluice = Sluice(tmp_path, DATABASE_URL=database)

    async def shown(*options: str) -> Any:
        ended = await asyncio.to_thread(sluice.run, "mac", *options, "--json")
        assert ended.code == ExitCode.CLEAN, ended.err
        return json.loads(ended.out)

    document = await shown("--account", "acme")
    sums = [tuple(row.values()) for row in document["cycles"]]
    assert sums == [("acme", "2026-04-01", 1, 1, 0, "open"), ("acme", "2026-03-01", 3, 3, 0, "open")]
    assert len(document["workspaces"]) == 4
    assert {row["workspace_id"] for row in document["workspaces"]} == {"tokyo", "apia", "lima"}
    starts = {row["cycle_start"] for row in document["workspaces"] if row["first_day"] == "2026-03-01"}
    assert len(starts) == 3

    newest = await shown("list", "--account", "acme", "--limit", "1")
    assert newest == {"cycles": document["cycles"][:1], "workspaces": document["workspaces"][:1]}
    tokyo = (datetime(2026, 3, 1, tzinfo=UTC) - timedelta(hours=9)).isoformat()
    [row] = (await shown("list", "--account", "acme", "--cycle", tokyo))["cycles"]
    assert (row["workspaces"], row["status"]) == (1, "closed")

    for options, code, said in (
        (("--account", "nobody"), ExitCode.FAULT, "sluice: no workspace of an account 'nobody' has such a cycle"),
        (("--account", "acme", "--workspace", "lima"), ExitCode.SETUP, "exclude each other"),
    ):
        ended = await asyncio.to_thread(sluice.run, "mac", *options)
        assert (ended.code, ended.out) == (code, "")
        assert said in ended.err
