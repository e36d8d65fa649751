"""`sluice mac export`: what counts, with proofs, whole or not at all; and a closed cycle for billing services."""

import asyncio
import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from asyncpg import Pool
from pyarrow import parquet

from tests.cli.commands import Ended, Sluice
from tests.cli.inside import document_of, runner
from workers.cli import mac_export, mac_parquet
from workers.errors import ExitCode
from workers.rules.mac_sheet import COLUMNS
from workers.store import pool as pool_module
from workers.store.pool import pool_of

MARCH: Final = ("--workspace", "acme", "--cycle", "2026-03-01")
APRIL: Final = ("--workspace", "acme", "--cycle", "2026-04-01")
CONTACTS: Final = 25
ADJUSTMENTS: Final = [(1, "late_message"), (-1, "late_block"), (-1, "merge")]

FILL: Final = """
INSERT INTO workspaces (workspace_id) VALUES ('acme');
INSERT INTO mac_cycles (workspace_id, cycle_start, cycle_end)
VALUES ('acme', '2026-03-01Z', '2026-04-01Z'), ('acme', '2026-04-01Z', '2026-05-01Z');
INSERT INTO mac_contacts (workspace_id, cycle_start, contact_id, first_message_id, first_counted_at)
SELECT 'acme', '2026-03-01Z'::timestamptz, md5(n::text)::uuid, md5('m' || n)::uuid,
    '2026-03-01Z'::timestamptz + n * interval '1.5 s'
FROM generate_series(1, 25) n;
INSERT INTO mac_contacts (workspace_id, cycle_start, contact_id, first_message_id, first_counted_at)
SELECT 'acme', '2026-04-01Z', md5(n::text)::uuid, md5('n' || n)::uuid, '2026-04-02Z' FROM generate_series(1, 2) n;
INSERT INTO mac_shards (workspace_id, cycle_start, shard, active_contacts)
VALUES ('acme', '2026-03-01Z', 'messages.inbound/0', 20), ('acme', '2026-03-01Z', 'messages.inbound/1', 5),
    ('acme', '2026-04-01Z', 'messages.inbound/1', 2);
INSERT INTO mac_adjustments (workspace_id, cycle_start, contact_id, amount, cause, fact_id, at)
VALUES ('acme', '2026-03-01Z', md5('30')::uuid, 1, 'late_message', 'm', '2026-04-05Z'),
    ('acme', '2026-03-01Z', md5('1')::uuid, -1, 'late_block', 'b', '2026-04-06Z'),
    ('acme', '2026-03-01Z', md5('2')::uuid, -1, 'merge', 'c', '2026-04-06Z');
UPDATE mac_cycles SET status = 'closed', closed_at = '2026-04-04Z' WHERE cycle_start = '2026-03-01Z';
"""

MORE: Final = """
INSERT INTO mac_contacts (workspace_id, cycle_start, contact_id, first_message_id, first_counted_at)
SELECT 'acme', '2026-04-01Z', gen_random_uuid(), gen_random_uuid(), '2026-04-02Z' FROM generate_series(1, 500);
UPDATE mac_shards SET active_contacts = active_contacts + 500 WHERE cycle_start = '2026-04-01Z';
"""


@pytest.fixture
async def sluice(
    pool: Pool,
    database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., Ended]:
    """A closed March with adjustments and an open April, read in small pages."""
    await pool.execute(FILL)
    monkeypatch.setattr(mac_export, "_AT_ONCE", 7)
    monkeypatch.setattr(mac_parquet, "ROW_GROUP", 10)
    monkeypatch.chdir(tmp_path)
    return runner(monkeypatch, capsys, DATABASE_URL=database)


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The rows of a file, as its format has them; None and an empty cell are one."""
    match path.suffix:
        case ".csv":
            return [{k: v or None for k, v in row.items()} for row in csv.DictReader(path.read_text().splitlines())]
        case ".jsonl":
            return [json.loads(line) for line in path.read_text().splitlines()]
        case _:
            return parquet.read_table(path).to_pylist()  # type: ignore[no-any-return]


def told(ended: Ended) -> str:
    """The last line of a command that failed, of which nothing is on standard output."""
    assert (ended.code, ended.out) == (ExitCode.FAULT, "")
    return ended.err.splitlines()[-1]


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_every_contact_and_adjustment_is_a_row_and_they_add_up(form: str, sluice: Callable[..., Ended]) -> None:
    path = Path(f"march.{form}")
    written = document_of(sluice("mac", "export", *MARCH, "--format", form, "--out", str(path), "--json"))
    assert (written["rows"], written["active_contacts"], written["adjustments"]) == (CONTACTS + 3, CONTACTS, -1)
    assert list(Path().iterdir()) == [path]

    found = rows_of(path)
    assert tuple(found[0]) == COLUMNS
    assert sum(int(row["amount"]) for row in found) == CONTACTS - 1
    contacts, adjustments = found[:CONTACTS], found[CONTACTS:]
    assert [row["kind"] for row in found] == ["contact"] * CONTACTS + ["adjustment"] * 3
    ids = [row["contact_id"] for row in contacts]
    assert ids == sorted(set(ids))
    assert all(row["first_message_id"] and row["first_counted_at"] and row["cause"] is None for row in contacts)
    assert [(int(row["amount"]), row["cause"]) for row in adjustments] == ADJUSTMENTS
    assert [row["fact_id"] for row in adjustments] == ["m", "b", "c"]
    if form != "parquet":
        assert {row["cycle_start"] for row in found} == {"2026-03-01T00:00:00Z"}
        assert "2026-03-01T00:00:01.500000Z" in {row["first_counted_at"] for row in contacts}
        out = sluice("mac", "export", *MARCH, "--format", form).out
        assert out == path.read_text()


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_killed_export_goes_on_behind_its_last_line(form: str, sluice: Callable[..., Ended]) -> None:
    whole, part = Path("march"), Path("march.part")
    export = ("mac", "export", *MARCH, "--format", form, "--out", "march")
    assert sluice(*export).code == ExitCode.CLEAN
    lines = whole.read_bytes()
    whole.unlink()

    written = [lines[:end] for end in (3, len(lines) // 2, len(lines) - 130, len(lines))]
    for before in (*written, lines + lines[-300:]):
        part.write_bytes(before)
        assert "--resume" in told(sluice(*export))
        assert sluice(*export, "--resume").code == ExitCode.CLEAN
        assert whole.read_bytes() == lines
        assert not part.exists()
        whole.unlink()


def test_a_killed_parquet_goes_on_behind_its_last_row_group(sluice: Callable[..., Ended]) -> None:
    whole, part = Path("march.parquet"), Path("march.parquet.part")
    export = ("mac", "export", *MARCH, "--format", "parquet", "--out", str(whole))
    assert sluice(*export).code == ExitCode.CLEAN
    table = parquet.read_table(whole)
    assert parquet.read_metadata(whole).num_row_groups == 3
    whole.unlink()

    for kept in (0, 1, 2):
        part.mkdir()
        for number in range(kept):
            parquet.write_table(table.slice(number * 10, 10), part / f"contacts-{number:06}.parquet")
        (part / f"contacts-{kept:06}.tmp").write_bytes(b"half of one")
        parquet.write_table(table.slice(25), part / "adjustments-000009.parquet")
        assert "--resume" in told(sluice(*export))
        assert sluice(*export, "--resume").code == ExitCode.CLEAN
        assert parquet.read_table(whole) == table
        assert not part.exists()
        whole.unlink()


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_what_is_no_part_of_this_export_is_left_alone(form: str, sluice: Callable[..., Ended]) -> None:
    """Of another cycle, or of no export at all."""
    assert sluice("mac", "export", *APRIL, "--format", form, "--out", "april").code == ExitCode.CLEAN
    april, part = Path("april"), Path("march.part")
    export = ("mac", "export", *MARCH, "--format", form, "--out", "march", "--resume")
    if form == "parquet":
        part.mkdir()
        april.replace(part / "contacts-000000.parquet")
        assert "no part of this export" in told(sluice(*export))
        assert (part / "contacts-000000.parquet").exists()
        return
    for others in (april.read_bytes(), b"my notes\n"):
        part.write_bytes(others)
        assert "no part of this export" in told(sluice(*export))
        assert part.read_bytes() == others


def test_an_open_cycle_is_exported_whole_or_not_at_all(sluice: Callable[..., Ended]) -> None:
    export = ("mac", "export", *APRIL, "--format", "csv", "--out", "april")
    ended = sluice(*export)
    assert "This cycle is open: its count may change." in ended.err
    assert len(rows_of(Path("april").rename("april.csv"))) == 2
    assert "open" in told(sluice(*export, "--resume"))

    Path("april.part").write_text("of a time when it was closed, if that could be")
    assert sluice(*export).code == ExitCode.CLEAN


def test_rows_that_are_not_what_the_count_says_are_no_file(database: str, sluice: Callable[..., Ended]) -> None:
    async def tamper() -> None:
        async with pool_of(database, name="test") as pool:
            await pool.execute("DELETE FROM mac_contacts WHERE contact_id = md5('7')::uuid")

    asyncio.run(tamper())
    for form in ("csv", "parquet"):
        sentence = told(sluice("mac", "export", *MARCH, "--format", form, "--out", "march"))
        assert sentence.startswith("sluice: there are 24 contacts")
        assert "sluice mac verify" in sentence
        assert list(Path().iterdir()) == []


def test_an_export_may_take_longer_than_a_transaction_of_a_worker(
    database: str, sluice: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fill() -> None:
        async with pool_of(database, name="test") as opened:
            await opened.execute(MORE)

    asyncio.run(fill())
    monkeypatch.setattr(mac_export, "_AT_ONCE", 1)
    monkeypatch.setattr(pool_module, "_SINCE_17", {"transaction_timeout": "100ms"})
    assert sluice("mac", "export", *APRIL, "--format", "csv", "--out", "april").code == ExitCode.CLEAN


def test_only_one_export_writes_a_file(sluice: Callable[..., Ended]) -> None:
    import fcntl

    with Path("march.part").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        sentence = told(sluice("mac", "export", *MARCH, "--format", "csv", "--out", "march", "--resume"))
    assert sentence == "sluice: another export writes march at this moment"


def test_usage_events_are_lines_for_a_closed_cycle_only(sluice: Callable[..., Ended]) -> None:
    lago = ("--format", "lago", "--customer", "sub_1", "--meter", "mac")
    lines = sluice("mac", "export", *MARCH, *lago).out.splitlines()
    events = [json.loads(line)["event"] for line in lines]
    assert [event["properties"]["active_contacts"] for event in events] == [25, 1, -2]
    assert {(event["code"], event["external_subscription_id"]) for event in events} == {("mac", "sub_1")}
    assert sluice("mac", "export", *MARCH, *lago).out.splitlines() == lines
    assert sluice("mac", "export", *MARCH, *lago, "--since", "2026-04-05").out.splitlines() == lines[1:]

    written = document_of(sluice("mac", "export", *MARCH, "--format", "openmeter", "--out", "events", "--json"))
    assert (written["events"], written["refused"]) == (3, [])
    assert [json.loads(line)["subject"] for line in Path("events").read_text().splitlines()] == ["acme"] * 3

    for service in ("stripe", "lago", "openmeter"):
        assert "this cycle is open" in told(sluice("mac", "export", *APRIL, "--format", service))


def test_what_a_service_does_not_take_is_told_one_by_one(sluice: Callable[..., Ended]) -> None:
    """The cycle is long ago, and Stripe takes events of the past 35 days."""
    ended = sluice("mac", "export", *MARCH, "--format", "stripe", "--out", "events")
    assert (ended.code, ended.out, Path("events").read_text()) == (ExitCode.FAULT, "", "")
    first, *others = ended.err.splitlines()
    assert first.startswith("refused, the closed figure: Stripe takes events of the past 35 days")
    assert len(others) == 3


def test_a_reader_that_goes_away_is_no_failure_of_a_server(
    database: str, tmp_path: Path, sluice: Callable[..., Ended]
) -> None:
    assert sluice("mac", "list").code == ExitCode.CLEAN
    ended = Sluice(tmp_path, DATABASE_URL=database).run_into_a_closed_pipe("mac", "export", *MARCH, "--format", "csv")
    assert ended.code == ExitCode.FAULT
    assert ended.err == "sluice: standard output cannot be written: Broken pipe\n"


def test_a_missing_package_is_named(sluice: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    ended = sluice("mac", "export", *MARCH, "--format", "parquet", "--out", "march")
    assert (ended.code, ended.out) == (ExitCode.SETUP, "")
    assert "pip install 'sluice[parquet]'" in ended.err
    assert list(Path().iterdir()) == []
