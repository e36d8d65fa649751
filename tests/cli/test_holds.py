"""`sluice holds`: an empty result for a workspace that exists, an error for one that does not."""

import asyncio
from pathlib import Path

from asyncpg import Pool

from tests.cli.commands import Sluice
from tests.workers.ingesting import ingest
from tests.workers.records import WORKSPACE, message
from workers.errors import ExitCode


async def test_a_workspace_that_is_not_there_is_exit_code_1_and_a_sentence(
    pool: Pool, database: str, tmp_path: Path
) -> None:
    await ingest(pool, message())
    sluice = Sluice(tmp_path, DATABASE_URL=database)

    known = await asyncio.to_thread(sluice.run, "holds", "--workspace", WORKSPACE)
    unknown = await asyncio.to_thread(sluice.run, "holds", "--workspace", "nobody")

    assert (known.code, known.out) == (ExitCode.CLEAN, "Nothing is held.\n")
    assert (unknown.code, unknown.out) == (ExitCode.FAULT, "")
    assert unknown.err == "sluice: there is no workspace 'nobody'\n"
