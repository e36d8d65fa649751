"""Without any fault the oracle must hold, otherwise it proves nothing."""

import pytest

from tests.faults import traffic
from tests.faults.stage import Stage
from tests.faults.world import World

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]


async def test_two_workers_make_the_world_that_one_made(everything: Stage, quiet_world: World) -> None:
    workers = await everything.start_ready(count=2)
    await traffic.play(everything.broker, everything.pool)
    assert await everything.stop(*workers) == [0, 0]
    await everything.assert_as_without_faults(quiet_world)
    reached = {(status, code) for *_, status, _, code, _ in quiet_world["send_attempts"]}
    assert {("ambiguous", None), ("failed", "not_claimed"), ("failed", "busy"), ("read", None)} <= reached
