"""`sluice profiles` and `sluice contacts` find and show, legibly on a terminal of 80 columns and as JSON."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from asyncpg import Pool

from tests.cli.commands import Sluice
from tests.workers.asking import ask, by_phone, contact_of, give
from tests.workers.ingesting import ingest
from tests.workers.records import WORKSPACE, message
from workers.errors import ExitCode

ANA = "+4915112345678"


async def prepare(pool: Pool) -> str:
    await ingest(pool, message(ANA, name="Ana"), message("@ana", channel="telegram", name="Ana too"))
    await give(
        pool,
        ask("define_status", name="vip", protected=True),
        ask("create_profile", profile_id="p-1", name="Lovelace & Søn"),
        ask("set_profile_status", profile_id="p-1", status="vip"),
        ask("add_note", profile_id="p-1", note_id="n-1", text="Prefers letters\nto calls"),
        ask("attach_contact", profile_id="p-1", identity=by_phone(ANA)),
    )
    return str(await contact_of(pool, ANA))


async def test_profiles_and_contacts_are_found_and_shown(
    pool: Pool, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    contact_id = await prepare(pool)
    sluice = Sluice(tmp_path, DATABASE_URL=database)

    async def said(*arguments: str) -> str:
        ended = await asyncio.to_thread(sluice.run, *arguments, "--workspace", WORKSPACE)
        assert (ended.code, ended.err) == (ExitCode.CLEAN, "")
        assert max(len(line) for line in ended.out.splitlines()) <= 80
        return ended.out

    found = await said("profiles", "find", "SØN")
    assert all(word in found for word in ("p-1", "Lovelace & Søn", "vip", "status_protected"))
    shown = await said("profiles", "show", "p-1")
    assert all(word in shown for word in ("Lovelace & Søn", "n-1", "Prefers letters", contact_id, ANA))
    found = await said("contacts", "find", "ana")
    assert all(word in found for word in (contact_id, ANA, "Ana too"))
    shown = await said("contacts", "show", contact_id)
    assert all(word in shown for word in (contact_id, "whatsapp", "active", "p-1"))
    assert "No profile has" in await said("profiles", "find", "nobody")
    assert "No contacts were merged" in await said("merges")
    assert "No contact has" in await said("contacts", "find", "nobody")

    async def told(*arguments: str) -> Any:
        return json.loads((await asyncio.to_thread(sluice.run, *arguments, "--workspace", WORKSPACE, "--json")).out)

    other = (await told("contacts", "find", "@ana"))[0]["contact_id"]
    await give(pool, ask("merge_contacts", survivor_id=contact_id, loser_id=other))
    assert "olga" in await said("merges")
    [merged] = await told("merges")
    assert (merged["survivor_id"], merged["loser_id"], merged["undone_at"]) == (contact_id, other, None)
    assert (await told("contacts", "show", other))["contact"][0]["contact_id"] == contact_id
    await give(pool, ask("undo_merge", merge_id=merged["merge_id"], minutes=1))
    [profile] = await told("profiles", "find", "lovelace")
    assert (profile["profile_id"], profile["reasons"], profile["contacts"]) == ("p-1", ["status_protected"], 1)
    whole = await told("profiles", "show", "p-1")
    assert whole["profile"][0]["fields"] == {}
    assert [note["text"] for note in whole["notes"]] == ["Prefers letters\nto calls"]
    assert [contact["contact_id"] for contact in whole["contacts"]] == [contact_id]
    assert [contact["display_name"] for contact in await told("contacts", "find", "ana")] == ["Ana", "Ana too"]
    whole = await told("contacts", "show", contact_id)
    assert (whole["contact"][0]["custom"], whole["channels"][0]["channel"]) == ({}, "telegram")


@pytest.mark.parametrize(
    ("arguments", "workspace", "code", "error"),
    [
        (("profiles", "find", "x"), "nobody", ExitCode.FAULT, "sluice: there is no workspace 'nobody'\n"),
        (("contacts", "find", "x"), "nobody", ExitCode.FAULT, "sluice: there is no workspace 'nobody'\n"),
        (("profiles", "show", "p-9"), "acme", ExitCode.FAULT, "sluice: workspace 'acme' has no profile 'p-9'\n"),
        (("contacts", "show", "x"), "acme", ExitCode.SETUP, None),
    ],
)
async def test_what_is_not_there_or_wrong_is_an_error(
    pool: Pool,
    database: str,
    tmp_path: Path,
    arguments: tuple[str, ...],
    workspace: str,
    code: ExitCode,
    error: str | None,
) -> None:
    await ingest(pool, message(ANA))
    ended = await asyncio.to_thread(Sluice(tmp_path, DATABASE_URL=database).run, *arguments, "--workspace", workspace)
    assert (ended.code, ended.out) == (code, "")
    assert error is None or ended.err == error
