"""Verifying counts by SQL: over generated settings, blocks and messages it judges each message as the rules do."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from tests.store.test_one_rule import Said, configured, logs, said, store
from tests.store.worlds import GENERATED, NOW, histories
from tests.support.databases import InATransaction
from tests.workers.records import WORKSPACE, uuid_of
from workers.rules.blocks import Interval
from workers.rules.cycles import Setting
from workers.rules.verifying import calendar_in_effect, expected_cycles
from workers.store import verifying
from workers.store.connection import Connection

JUDGED = """
SELECT j.message_id, j.counts, ($3::timestamptz[])[j.number]
FROM judged_again(
    $1, $2, $2, $3, held_in_cycles($1, 'mac_block_effect', 'next_cycle', $3),
    held_in_cycles($1, 'count_broadcasts', 'true', $3)::boolean[],
    held_in_cycles($1, 'count_reactions', 'true', $3)::boolean[]
) AS j
"""
LONG = timedelta(days=400)


@GENERATED
@given(logs, histories(), st.lists(said, max_size=8))
def test_which_messages_count_in_which_cycle(
    in_a_transaction: InATransaction, log: list[Setting], blocks: tuple[Interval, ...], told: list[Said]
) -> None:
    async def compare(tx: Connection) -> None:
        tenant = await configured(tx, log)
        judged = await store(tx, told, blocks, tenant.calendar)
        calendar = calendar_in_effect(await verifying.dividing_settings(tx, WORKSPACE))
        cycles = expected_cycles(calendar, NOW - LONG, [], NOW + LONG)
        assert cycles == [cycle for cycle, _ in tenant.calendar.between(NOW - LONG, NOW + LONG)]
        starts = [*(c.start for c in cycles), cycles[-1].end]
        found = {row[0]: tuple(row[1:]) for row in await tx.fetch(JUDGED, WORKSPACE, uuid_of("ana"), starts)}
        assert found == {id_: (verdict.counted, verdict.cycle.start) for id_, (_, verdict) in judged.items()}

    in_a_transaction(compare)
