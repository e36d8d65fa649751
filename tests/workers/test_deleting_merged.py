"""A deletion of a contact that others were merged into: nothing of any of them is left."""

from asyncpg import Pool

from tests.workers.asking import ask, give, results, rows
from tests.workers.ingesting import ingest
from tests.workers.records import message
from tests.workers.test_merging import ANA, BEN, meet, merge, texts, update
from tests.workers.test_undoing_merges import undo


async def test_those_that_were_merged_into_a_contact_go_with_it(pool: Pool) -> None:
    ana, ben = await meet(pool, ANA, BEN)
    await give(pool, update(ben, last_name="Secret"), ask("comment", minutes=6, contact_id=ben, text="secret"))
    merged = merge(ana, ben)
    await give(pool, merged)
    deletion = ask("delete_contacts", minutes=20, contact_ids=[ben], expected_count=1)
    assert (await results(pool, deletion))[0]["contacts"] == 1

    assert await rows(pool, "SELECT FROM sluice_core.contacts") == []
    assert await rows(pool, "SELECT snapshot FROM sluice_core.merges") == [(None,)]
    assert await results(pool, undo(merged), ask("add_tag", minutes=30, contact_id=ben, tag="x")) == [
        *("already_final", "contact_deleted")
    ]
    assert await results(pool, merge(ana, ben, 31)) == ["contact_deleted"]
    await ingest(pool, message(BEN, minutes=40, text="new"))
    assert await texts(pool) == ["new"]


async def test_all_means_those_that_can_be_seen(pool: Pool) -> None:
    ana, ben = await meet(pool, ANA, BEN)
    await give(pool, merge(ana, ben))
    everybody = ask("delete_contacts", minutes=20, all=True, expected_count=1)
    assert (await results(pool, everybody))[0]["contacts"] == 1
    assert await rows(pool, "SELECT FROM sluice_core.contacts") == []
