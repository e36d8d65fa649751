"""An export that is killed again and again comes to the same file as one that is not."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from asyncpg import Pool
from pyarrow import parquet

from tests.cli.commands import Sluice
from workers.errors import ExitCode

CONTACTS: Final = 350_000
MOST_MB: Final = {"csv": 120, "jsonl": 120, "parquet": 350}

FILL: Final = """
INSERT INTO workspaces (workspace_id) VALUES ('acme');
INSERT INTO mac_cycles (workspace_id, cycle_start, cycle_end) VALUES ('acme', '2026-03-01Z', '2026-04-01Z');
INSERT INTO mac_contacts (workspace_id, cycle_start, contact_id, first_message_id, first_counted_at)
SELECT 'acme', '2026-03-01Z', gen_random_uuid(), gen_random_uuid(), '2026-03-01Z'::timestamptz + n * interval '1 s'
FROM generate_series(1, 350000) n;
INSERT INTO mac_shards (workspace_id, cycle_start, shard, active_contacts)
VALUES ('acme', '2026-03-01Z', 'messages.inbound/0', 350000);
INSERT INTO mac_adjustments (workspace_id, cycle_start, contact_id, amount, cause)
VALUES ('acme', '2026-03-01Z', gen_random_uuid(), 1, 'late_message');
UPDATE mac_cycles SET status = 'closed', closed_at = '2026-04-04Z';
ANALYZE mac_contacts;
"""


@pytest.fixture
async def sluice(pool: Pool, database: str, tmp_path: Path) -> Sluice:
    await pool.execute(FILL)
    return Sluice(tmp_path, DATABASE_URL=database)


def written(part: Path) -> int:
    """How much is there already: bytes, or row groups."""
    if part.is_dir():
        return len(list(part.glob("*.parquet")))
    return part.stat().st_size if part.exists() else 0


@pytest.mark.parametrize(("form", "step"), [("csv", 9_000_000), ("jsonl", 18_000_000), ("parquet", 1)])
def test_a_killed_export_goes_on(form: str, step: int, sluice: Sluice) -> None:
    export = ("mac", "export", "--workspace", "acme", "--cycle", "2026-03-01", "--format", form, "--out")
    assert sluice.run(*export, "whole").code == ExitCode.CLEAN
    part = sluice.folder / "parts.part"

    for _ in range(3):
        before = written(part)
        with sluice.running(*export, "parts", "--resume") as running:
            running.until(grown(part, before + step))
            assert running.peak_memory() < MOST_MB[form]
            running.kill()
        assert not (sluice.folder / "parts").exists()
    ended = sluice.run(*export, "parts", "--resume")
    assert (ended.code, ended.err.splitlines()[-1]) == (ExitCode.CLEAN, f"{CONTACTS + 1:,} rows in parts")

    whole, parts = sluice.folder / "whole", sluice.folder / "parts"
    assert not part.exists()
    if form == "parquet":
        assert parquet.read_table(parts) == parquet.read_table(whole)
    else:
        assert parts.read_bytes() == whole.read_bytes()


def grown(part: Path, size: int) -> Callable[[], bool]:
    """Whether a part has so much in it, asked often: an export is quick."""

    def done() -> bool:
        deadline = time.monotonic() + 1
        while written(part) < size:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.001)
        return True

    return done
