"""The nightly verification of all workspaces: in steps, once a night, with a result for status and metrics."""

from datetime import UTC, datetime, timedelta

import pytest
from asyncpg import Pool

from tests.workers.ingesting import ingest, rows
from tests.workers.records import message
from workers.billing import nightly
from workers.services.job_runner import Unfinished

NIGHT = datetime(2026, 3, 11, 1, tzinfo=UTC)
RESULTS = "SELECT workspace_id, differences, not_final, verified_at FROM sluice.verifications ORDER BY workspace_id"

ROUND = "SELECT * FROM sluice.verification_round"


async def round_of(pool: Pool, now: datetime) -> int:
    """Runs the job until nothing is left; the number of its steps."""
    for number in range(1, 1_000):
        async with pool.acquire() as tx, tx.transaction():
            if not isinstance(await nightly.verify(tx, now), Unfinished):
                return number
    raise AssertionError("it does not end")


async def test_each_night_every_workspace_is_verified_in_steps(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nightly, "_STEP_S", 0)
    monkeypatch.setattr(nightly, "_CONTACTS_AT_ONCE", 1)
    phones = [f"+491511234560{n}" for n in range(3)]
    for month in range(2):
        minutes = 31 * 24 * 60 * month
        await ingest(
            pool, *(message(p, workspace_id=name, minutes=minutes) for p in phones for name in ("acme", "bolt", "cord"))
        )
    await pool.execute("INSERT INTO workspaces (workspace_id) VALUES ('new')")
    evening = NIGHT - timedelta(hours=2)
    await round_of(pool, evening)
    assert [row[:3] for row in await rows(pool, RESULTS)] == [
        (name, 0, None) for name in ("acme", "bolt", "cord", "new")
    ]
    assert await rows(pool, ROUND) == [(evening, evening, 0, 0)]

    await pool.execute("DELETE FROM mac_contacts WHERE workspace_id = 'bolt' AND cycle_start >= '2026-04-01'")
    await pool.execute("UPDATE messages SET counted = false WHERE workspace_id = 'cord'")
    await pool.execute("""
        INSERT INTO pending_work (workspace_id, kind, subject, command_id, details, total)
        VALUES ('cord', 'count again', '', gen_random_uuid(), '{}', 1)
    """)
    assert await round_of(pool, NIGHT - timedelta(seconds=1)) == 1  # the same night
    assert [row[1] for row in await rows(pool, RESULTS)] == [0, 0, 0, 0]
    assert await round_of(pool, NIGHT) > 5 * 3  # two cycles, two contacts, the rest of each workspace that has some
    again = "the workspace is being counted again"
    assert await rows(pool, RESULTS) == [
        ("acme", 0, None, NIGHT), ("bolt", 4, None, NIGHT), ("cord", 0, again, NIGHT), ("new", 0, None, NIGHT),
    ]  # fmt: skip
    [(examples,)] = await rows(pool, "SELECT examples ->> 0 FROM sluice.verifications WHERE workspace_id = 'bolt'")
    assert '"count",null,"3","0"' in examples
    assert await rows(pool, ROUND) == [(NIGHT, NIGHT, 1, 4)]
