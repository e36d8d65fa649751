"""`sluice mac verify`: what it says if all is well, if something differs, and if there is nothing to verify."""

import asyncio
from collections.abc import Callable

import pytest
from asyncpg import Pool

from tests.cli.commands import Ended
from tests.cli.inside import document_of, runner
from tests.workers.ingesting import ingest, rows
from tests.workers.records import message
from workers.errors import ExitCode

MARCH = "2026-03-01T00:00:00Z"


@pytest.fixture
def sluice(database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    return runner(monkeypatch, capsys, columns=200, DATABASE_URL=database)


async def test_a_difference_is_named_and_fails(pool: Pool, sluice: Callable[..., Ended]) -> None:
    async def run(*options: str) -> Ended:
        return await asyncio.to_thread(sluice, "mac", "verify", *options)

    assert (await run()).out == "There is no workspace yet.\n"
    await ingest(pool, message(), message("+4915112345679"), message(workspace_id="bolt"))
    verified = document_of(await run("--json"))
    assert verified["differences"] == []
    assert [(v["workspace_id"], v["cycles"], v["differences"]) for v in verified["verified"]] == [
        ("acme", 1, 0), ("bolt", 1, 0),
    ]  # fmt: skip
    assert {v["not_final"] for v in verified["verified"]} == {"cycles that have no row yet"}

    [(who, id_)] = await rows(
        pool, "DELETE FROM mac_contacts WHERE workspace_id = 'bolt' RETURNING contact_id, first_message_id"
    )
    assert (await run("--workspace", "acme")).code == ExitCode.CLEAN
    assert (await run("--workspace", "bolt", "--cycle", "2026-03-01")).code == ExitCode.FAULT
    ended = await run()
    assert (ended.code, ended.err) == (ExitCode.FAULT, "")
    lines = [line.split() for line in ended.out.splitlines()]
    assert ["bolt", "2026-03-01", "00:00:00Z", "count", "1", "0"] in lines
    proof = ["no", "row", str(id_), "of", "2026-03-10T00:00:00.000000Z"]
    assert ["bolt", "2026-03-01", "00:00:00Z", "contact", str(who), *proof] in lines

    for options, told in (
        (["--workspace", "nobody"], "there is no workspace 'nobody'"),
        (["--workspace", "acme", "--cycle", "2026-03-02"], "workspace 'acme' has no cycle that begins at 2026-03-02"),
        (["--cycle", "2026-03-02"], "no workspace has a cycle that begins at 2026-03-02 00:00:00Z"),
    ):
        ended = await run(*options)
        assert (ended.code, ended.out) == (ExitCode.FAULT, "")
        assert told in ended.err
