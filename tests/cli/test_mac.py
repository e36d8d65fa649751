"""`sluice mac`: counts, why a contact is in one, and a clear sentence if there is nothing."""

import asyncio
import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from asyncpg import Pool

from tests.cli.commands import Ended, Sluice
from tests.workers.asking import ask, give
from tests.workers.ingesting import ingest, rows
from tests.workers.records import message
from workers.cli.tables import text_of
from workers.cli.terminal import moment
from workers.errors import ExitCode, SettingsError

NOBODY = "0e37df36-f698-11e6-8dd4-cb9ced3df976"
MARCH = "2026-03-01"


@pytest.fixture
async def sluice(database: str, pool: Pool, tmp_path: Path) -> Sluice:
    """A workspace of UTC and one of Tokyo with a message each, one without any."""
    await give(pool, ask("configure_workspace", workspace_id="tokyo", set={"time_zone": "Asia/Tokyo"}))
    await give(pool, ask("configure_workspace", workspace_id="silent", set={"quarantine_days": 3}))
    await ingest(pool, message(), message(workspace_id="tokyo"))
    await ingest(pool, message("+4915100000000", minutes=40 * 24 * 60))
    return Sluice(tmp_path, DATABASE_URL=database)


async def mac(sluice: Sluice, *options: str) -> Ended:
    return await asyncio.to_thread(sluice.run, "mac", *options)


async def explained(sluice: Sluice, workspace: str, contact_id: object, *options: str) -> Ended:
    named = ("--workspace", workspace, "--cycle", MARCH, "--contact", str(contact_id))
    return await mac(sluice, "explain", *named, *options)


async def shown(sluice: Sluice, *options: str) -> Any:
    ended = await mac(sluice, *options, "--json")
    assert ended.code == ExitCode.CLEAN, ended.err
    return json.loads(ended.out)


def told(ended: Ended) -> str:
    """Why there is nothing: one sentence, and nothing that looks like an answer."""
    assert (ended.code, ended.out) == (ExitCode.FAULT, "")
    [sentence] = ended.err.splitlines()
    return sentence


async def test_a_cycle_chooses_rows_with_and_without_a_workspace(sluice: Sluice) -> None:
    assert len(await shown(sluice)) == 3
    assert await shown(sluice, "list") == await shown(sluice)
    [row] = await shown(sluice, "--cycle", MARCH)
    assert (row["workspace_id"], row["cycle_start"]) == ("acme", "2026-03-01T00:00:00Z")
    assert await shown(sluice, "list", "--cycle", MARCH) == [row]
    [row] = await shown(sluice, "--workspace", "acme", "--cycle", "2026-04-01T02:00:00+02:00")
    assert row["active_contacts"] == 1


async def test_what_is_not_there_is_exit_code_1_and_a_true_sentence(sluice: Sluice, pool: Pool) -> None:
    [(contact_id,)] = await rows(pool, "SELECT contact_id FROM contacts WHERE workspace_id = 'tokyo'")

    nobody = "sluice: there is no workspace 'nobody'"
    assert told(await mac(sluice, "--workspace", "nobody")) == nobody
    assert told(await explained(sluice, "nobody", contact_id)) == nobody
    holds_it = "that begins at 2026-03-01 00:00:00Z; the one that contains that time begins at 2026-02-28 15:00:00Z"
    no_cycle = f"sluice: workspace 'tokyo' has no cycle {holds_it}"
    assert told(await mac(sluice, "list", "--workspace", "tokyo", "--cycle", MARCH)) == no_cycle
    assert told(await explained(sluice, "tokyo", contact_id)) == no_cycle
    assert told(await mac(sluice, "--cycle", "2020-01-01")) == (
        "sluice: no workspace has a cycle that begins at 2020-01-01 00:00:00Z"
    )
    assert told(await mac(sluice, "--workspace", "silent", "--cycle", MARCH)) == (
        "sluice: workspace 'silent' has no cycle that begins at 2026-03-01 00:00:00Z"
    )
    assert told(await explained(sluice, "acme", NOBODY)) == (f"sluice: workspace 'acme' has no contact {NOBODY}")
    # somebody else's contact is nobody here
    assert told(await explained(sluice, "acme", contact_id)) == (
        f"sluice: workspace 'acme' has no contact {contact_id}"
    )


async def test_what_is_empty_says_why(sluice: Sluice, pool: Pool) -> None:
    assert (await mac(sluice, "--workspace", "silent"))[:2] == (
        ExitCode.CLEAN,
        "That workspace has no message yet: its first one begins its first cycle.\n",
    )
    assert (await mac(sluice, "--since", "2027-01-01"))[:2] == (
        ExitCode.CLEAN,
        "No cycle ends after 2027-01-01 00:00:00Z.\n",
    )
    [(contact_id,)] = await rows(pool, "SELECT contact_id FROM contacts WHERE phone = '+4915100000000'")
    ended = await explained(sluice, "acme", contact_id)
    assert ended[:2] == (ExitCode.CLEAN, "not counted: none of its messages lies in this cycle\n")
    document = json.loads((await explained(sluice, "acme", contact_id, "--json")).out)
    assert (document["active"], document["verdict"], document["messages"]) == (False, ended.out.strip(), [])
    assert document["adjustments"] == []


async def test_a_contact_of_the_count_is_explained_by_its_proof(sluice: Sluice, pool: Pool) -> None:
    [(contact_id,)] = await rows(
        pool, "SELECT contact_id FROM contacts WHERE workspace_id = 'acme' AND phone <> $1", "+4915100000000"
    )
    document = json.loads((await explained(sluice, "acme", contact_id, "--json")).out)
    [row] = document.pop("messages")
    assert (row["counted"], row["rule"], row["explanation"]) == (
        True,
        "proof",
        "accepted: counts; it is the proof, the earliest that counts in this cycle",
    )
    assert document == {
        "workspace_id": "acme",
        "cycle_start": "2026-03-01T00:00:00Z",
        "contact_id": str(contact_id),
        "active": True,
        "verdict": "counted, by the message of 2026-03-10T00:00:00Z",
        "counted_as": str(contact_id),
        "adjustments": [],
    }
    ended = await explained(sluice, "acme", contact_id)
    assert ended.out.startswith(f"{document['verdict']}\n\nmessages")
    assert "proof" in ended.out
    assert "adjustments" not in ended.out

    await pool.execute("UPDATE mac_cycles SET status = 'closed', closed_at = cycle_end, closes_at = cycle_end")
    await pool.execute(
        """
        INSERT INTO mac_adjustments (workspace_id, cycle_start, contact_id, amount, cause, fact_id)
        SELECT 'acme', '2026-03-01T00:00:00Z', $1, -1, 'late_block', 'c-1'
        """,
        contact_id,
    )
    document = json.loads((await explained(sluice, "acme", contact_id, "--json")).out)
    assert document["active"] is False
    assert document["verdict"].endswith("; adjusted since: -1 (late_block)")
    [row] = document["adjustments"]
    assert (row["amount"], row["cause"], row["fact_id"]) == (-1, "late_block", "c-1")
    assert "\nadjustments" in (await explained(sluice, "acme", contact_id)).out


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01T08:00:00Z",
        "2026-03-01t08:00:00z",
        "2026-03-01 08:00:00Z",
        "2026-03-01 08:00:00+00",
        "2026-03-01T08:00",
        "2026-03-01 08:00:00",
        "2026-03-01T08:00:00.000000Z",
        "2026-03-01T09:30:00+01:30",
        "2026-03-01 06:00:00-0200",
    ],
)
def test_every_command_reads_a_moment_in_the_same_forms(text: str) -> None:
    assert moment(text, "--since") == datetime(2026, 3, 1, 8, tzinfo=UTC)


def test_a_date_alone_is_its_first_instant() -> None:
    assert moment("2026-03-01", "--since") == datetime(2026, 3, 1, tzinfo=UTC)
    assert moment(None, "--since") is None


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "20260301", "2026-W10-1", "2026-03", "2026-02-30", "2026-03-01T24:01Z", "1772323200",
     "01.03.2026", "2026-03-01T08", "2026-03-01T08:00:00 Z", "2026-03-01Z", "٢٠٢٦-03-01", "0001-01-01T00:00:00+10:00"],
)  # fmt: skip
def test_no_command_guesses_a_moment(text: str) -> None:
    with pytest.raises(SettingsError, match="--since: expected a time such as 2026-03-01T00:00:00Z or a date"):
        moment(text, "--since")


def test_what_a_table_prints_can_be_given_back() -> None:
    at = datetime(2026, 3, 1, 9, tzinfo=timezone(timedelta(hours=1)))
    assert moment(text_of(at.astimezone(UTC)), "--cycle") == at


async def test_counts_that_are_being_counted_again_are_marked(sluice: Sluice, pool: Pool) -> None:
    assert "counting" not in (await mac(sluice)).out
    await pool.execute(
        "INSERT INTO pending_work (workspace_id, kind, subject, command_id, details, total) "
        "VALUES ('tokyo', 'count again', '', gen_random_uuid(), '{}', 1)"
    )
    marked = {row["workspace_id"]: row["counting_again"] for row in json.loads((await mac(sluice, "--json")).out)}
    assert marked == {"acme": False, "tokyo": True}
    assert "counting" in (await mac(sluice)).out
