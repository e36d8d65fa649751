"""What the database remembers of everything that was ever committed, for the oracle: triggers on the engine's tables.

The engine forgets what it has published; these tables do not. They say what happened, commit by commit: which offsets
each transaction applied, and which events it stored.
"""

from typing import Final, NamedTuple
from uuid import UUID

from asyncpg import Pool

from workers.store import batch_outbox

_TABLES: Final = """
CREATE SCHEMA audit;
CREATE TABLE audit.steps (n bigserial, topic text, partition int, first bigint, next bigint);
CREATE TABLE audit.batch_outbox (n bigserial, topic text, partition int, next_offset bigint, events bytea);
CREATE TABLE audit.facts (n bigserial, topic text, key bytea, value bytea, ce_id uuid);
CREATE FUNCTION audit.step() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO audit.steps (topic, partition, first, next)
    VALUES (new.topic, new.partition, old.next_offset, new.next_offset);
    RETURN NULL;
END $$;
CREATE FUNCTION audit.batch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO audit.batch_outbox (topic, partition, next_offset, events)
    VALUES (new.topic, new.partition, new.next_offset, new.events);
    RETURN NULL;
END $$;
CREATE FUNCTION audit.fact() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO audit.facts (topic, key, value, ce_id) VALUES (new.topic, new.key, new.value, new.ce_id);
    RETURN NULL;
END $$;
CREATE TRIGGER audit AFTER UPDATE OF next_offset ON sluice_core.progress
    FOR EACH ROW WHEN (old.next_offset IS DISTINCT FROM new.next_offset) EXECUTE FUNCTION audit.step();
CREATE TRIGGER audit AFTER INSERT ON sluice_core.batch_outbox FOR EACH ROW EXECUTE FUNCTION audit.batch();
CREATE TRIGGER audit AFTER INSERT ON sluice_core.outbox FOR EACH ROW EXECUTE FUNCTION audit.fact();
"""


class Step(NamedTuple):
    """The offsets one transaction applied of one partition: from `first` (None: the beginning) to before `next`."""

    topic: str
    partition: int
    first: int | None
    next: int


class Told(NamedTuple):
    """A fact as it must be on its topic. `source` is whose order it keeps: an input partition, or the outbox."""

    source: tuple[str, int]
    topic: str
    key: bytes | None
    value: bytes | None
    ce_id: UUID


async def install(pool: Pool) -> None:
    """From now on everything is remembered."""
    await pool.execute(_TABLES)


async def steps(pool: Pool) -> list[Step]:
    """Every transaction's progress, in order within each partition."""
    rows = await pool.fetch("SELECT topic, partition, first, next FROM audit.steps ORDER BY topic, partition, next, n")
    return [Step(*row) for row in rows]


async def facts(pool: Pool) -> list[Told]:
    """Every event that was ever in the outbox, in the order of each source."""
    batches = await pool.fetch(
        "SELECT topic, partition, events FROM audit.batch_outbox ORDER BY topic, partition, next_offset, n"
    )
    told = [
        Told((batch["topic"], batch["partition"]), m.topic, m.key, m.value, m.ce_id)
        for batch in batches
        for m in batch_outbox.unpack(batch["events"])
    ]
    jobs = await pool.fetch("SELECT topic, key, value, ce_id FROM audit.facts ORDER BY n")
    return told + [Told(("outbox", 0), *row) for row in jobs]
