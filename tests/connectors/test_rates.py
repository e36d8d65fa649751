"""Turns of a rate: no more than it says, in order, and never lost to somebody who does not want them any more."""

import asyncio

from connectors.sender.rates import Rate

INTERVAL_S = 0.05


async def test_turns_come_in_order_and_not_too_fast() -> None:
    rate, clock = Rate(1 / INTERVAL_S), asyncio.get_running_loop().time
    turns: list[tuple[int, float]] = []

    async def one(number: int) -> None:
        assert await rate.turn(lambda: True)
        turns.append((number, clock()))

    await asyncio.gather(*(one(number) for number in range(5)))
    assert [number for number, _ in turns] == list(range(5))
    assert turns[-1][1] - turns[0][1] >= 4 * INTERVAL_S - 0.01


async def test_a_turn_that_is_not_wanted_any_more_is_the_next_one_s() -> None:
    rate, clock = Rate(1 / INTERVAL_S), asyncio.get_running_loop().time
    assert await rate.turn(lambda: True)
    lost = [asyncio.create_task(rate.turn(lambda: False)) for _ in range(100)]
    began = clock()
    assert await rate.turn(lambda: True)
    assert clock() - began < 20 * INTERVAL_S
    assert not any(await asyncio.gather(*lost))


async def test_without_a_rate_nobody_waits() -> None:
    assert await asyncio.wait_for(Rate(None).turn(lambda: True), 0.1)
    assert not await Rate(None).turn(lambda: False)
