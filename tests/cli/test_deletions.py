"""`sluice deletions` and `sluice status`: how far deletions are."""

import asyncio
import json
from pathlib import Path

from asyncpg import Pool

from tests.cli.commands import Sluice
from tests.workers.asking import ask, contact_of, give
from tests.workers.erasing import erase
from tests.workers.ingesting import ingest
from tests.workers.records import WORKSPACE, message
from workers.errors import ExitCode

ANA = "+4915112345678"


async def test_a_deletion_is_shown_under_way_and_finished(pool: Pool, database: str, tmp_path: Path) -> None:
    await ingest(pool, message(ANA))
    sluice = Sluice(tmp_path, DATABASE_URL=database)
    nothing = await asyncio.to_thread(sluice.run, "deletions", "--workspace", WORKSPACE)
    assert (nothing.code, nothing.out) == (ExitCode.CLEAN, "No contact was deleted.\n")

    contact = await contact_of(pool, ANA)
    await give(pool, ask("delete_contacts", minutes=60, contact_ids=[contact], expected_count=1))
    under_way = await asyncio.to_thread(sluice.run, "deletions", "--json")
    [row] = json.loads(under_way.out)
    assert (row["workspace_id"], row["contacts"], row["done"], row["finished_at"]) == (WORKSPACE, 1, 0, None)
    status = json.loads((await asyncio.to_thread(sluice.run, "status", "--json")).out)
    assert status["deletions"] == [row]

    await erase(pool)
    [row] = json.loads((await asyncio.to_thread(sluice.run, "deletions", "--json")).out)
    assert row["done"] == 1
    assert row["finished_at"] is not None
    assert json.loads((await asyncio.to_thread(sluice.run, "status", "--json")).out)["deletions"] == []


async def test_a_workspace_that_is_not_there_is_exit_code_1(database: str, tmp_path: Path) -> None:
    sluice = Sluice(tmp_path, DATABASE_URL=database)
    unknown = await asyncio.to_thread(sluice.run, "deletions", "--workspace", "nobody")
    assert (unknown.code, unknown.err) == (ExitCode.FAULT, "sluice: there is no workspace 'nobody'\n")
