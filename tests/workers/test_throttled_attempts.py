"""Attempts of which the provider said only that it wants less: they do not count, in any order of receipts."""

import random
from datetime import datetime, timedelta
from itertools import permutations
from typing import Any, Final

import pytest
from asyncpg import Pool
from hypothesis import given
from hypothesis import strategies as st

from schemas.receipts import DeliveryReceipt, ReceiptError
from tests.workers.asking import results
from tests.workers.records import WORKSPACE, at, uuid_of
from tests.workers.sending import (
    PERMANENT,
    TEMPORARY,
    receipt,
    repeat,
    request,
    rows,
    send,
    standing,
    transact,
    values,
)
from tests.workers.test_settling import settle
from workers.rules.attempts import MOST_IN_ALL, MOST_THAT_COUNT, PAUSES
from workers.sends import jobs
from workers.sends.arrivals import ReceiptArrival
from workers.sends.events import NO_INPUT
from workers.sends.receipts import cause_of, forward
from workers.store.send_attempts import Attempt

DAY: Final = 24 * 60


def throttled(seconds: float, **fields: Any) -> dict[str, Any]:
    """What a receipt says of an attempt that was told to slow down."""
    return {"error": {"code": "429", "retry_after_s": seconds} | fields}


async def due(pool: Pool, name: str = "s1") -> datetime | None:
    """When the next attempt is due; None: none follows."""
    [(at_,)] = await rows(pool, "SELECT retry_at FROM sends WHERE send_id = $1", uuid_of(name))
    found: datetime | None = at_
    return found


async def fail(pool: Pool, minutes: float, said: dict[str, Any], name: str = "s1", **fields: Any) -> None:
    await send(pool, receipt("failed", name, minutes=minutes, **fields, **said), now=at(minutes))


async def failures(pool: Pool, *said: dict[str, Any], name: str = "s1") -> float:
    """Lets the attempts of a send fail one after the other. Returns the minute of the last."""
    minutes = 10.0
    for number, what in enumerate(said, 1):
        minutes += 2 * DAY
        if number > 1:
            assert [v["attempt"] for v in values(await repeat(pool, minutes), "sends.dispatch")] == [number]
        await fail(pool, minutes, what, name, attempt=number)
    return minutes


async def test_throttled_attempts_do_not_count_and_the_others_are_five(pool: Pool) -> None:
    await send(pool, request())
    plain, slow = TEMPORARY, throttled(60)
    said = [slow, slow, plain, slow, plain, plain, slow, slow, plain, slow, plain]
    last = await failures(pool, *said)
    assert await standing(pool) == ("failed", "busy", len(said))
    assert await repeat(pool, last + 2 * DAY) == []
    shown = [code for (code,) in await rows(pool, "SELECT error_code FROM sluice.send_attempts ORDER BY attempt")]
    assert shown == ["429" if what is slow else "busy" for what in said]


async def test_the_pause_is_the_providers_and_the_growing_ones_go_on_from_where_they_were(pool: Pool) -> None:
    await send(pool, request())
    minutes, pauses = 10.0, []
    for what in (throttled(7), TEMPORARY, TEMPORARY, throttled(60), throttled(7_200), TEMPORARY, TEMPORARY):
        minutes += DAY
        await repeat(pool, minutes)
        await fail(pool, minutes, what)
        at_ = await due(pool)
        assert at_ is not None
        pauses.append(at_ - at(minutes))
    asked = [timedelta(seconds=s) for s in (7, 60, 7_200)]
    assert [pauses[0], pauses[3], pauses[4]] == asked
    grown = [pauses[n] / mean for n, mean in zip((1, 2, 5, 6), PAUSES, strict=True)]
    assert [0.8 <= share <= 1.2 for share in grown] == [True] * 4


@pytest.mark.parametrize("seconds", [0, 1, 60], ids=["at once", "soon", "by a clock that is slow"])
async def test_a_throttled_attempt_waits_for_some_seconds_whatever_was_said(pool: Pool, seconds: float) -> None:
    await send(pool, request())
    await send(pool, receipt("failed", minutes=20, **throttled(seconds)), now=at(30))
    assert await due(pool) == at(30) + timedelta(seconds=5)


async def test_the_order_of_receipts_of_an_attempt_does_not_matter(pool: Pool) -> None:
    said = (TEMPORARY, throttled(60), throttled(600), TEMPORARY)
    orders = sorted(set(permutations(range(4))))
    names = [f"s{n}" for n in range(2 * len(orders))]
    await send(pool, *(request(name) for name in names))
    for number in range(1, 5):
        await send(pool, *(receipt("failed", name, minutes=20, attempt=number, **TEMPORARY) for name in names))
        assert len(values(await repeat(pool, DAY * number), "sends.dispatch")) == len(names)
    minutes = 5 * DAY
    fifth = [
        [receipt("failed", name, minutes=minutes, **said[n]) for n in order]
        for order, name in zip(orders * 2, names, strict=True)
    ]
    for together in fifth[: len(orders)]:
        await send(pool, *together, now=at(minutes))
    for n in range(len(said)):
        await send(pool, *(apart[n] for apart in fifth[len(orders) :]), now=at(minutes))
    assert {await due(pool, name) for name in names} == {at(minutes + 10)}
    assert {a for (a,) in await rows(pool, "SELECT max(attempt) FROM send_attempts GROUP BY send_id")} == {5}
    assert len(values(await repeat(pool, minutes + 10), "sends.dispatch")) == len(names)


async def test_a_receipt_that_is_repeated_does_not_put_the_next_attempt_off(pool: Pool) -> None:
    await send(pool, request())
    await fail(pool, 20, throttled(600))
    for minutes in (21, 29.99):
        await send(pool, receipt("failed", minutes=20, **throttled(600)), now=at(minutes))
        await fail(pool, minutes, TEMPORARY)
        assert await due(pool) == at(30)


async def test_a_late_word_about_an_earlier_attempt_lets_a_send_go_on_that_had_failed_for_good(pool: Pool) -> None:
    await send(pool, request())
    last = await failures(pool, *[TEMPORARY] * 5)
    assert await due(pool) is None
    await fail(pool, last, throttled(60), attempt=2)
    at_ = await due(pool)
    assert at_ is not None
    assert 0.8 <= (at_ - at(last)) / PAUSES[3] <= 1.2
    await fail(pool, last + 1, throttled(60), attempt=3)
    assert await due(pool) == at_
    assert [v["attempt"] for v in values(await repeat(pool, last + DAY), "sends.dispatch")] == [6]


@pytest.mark.parametrize("attempt", [1, 3, 5], ids=["the throttled one", "an earlier one", "the latest"])
async def test_a_permanent_failure_stays_final_whatever_the_provider_says_of_the_wait(pool: Pool, attempt: int) -> None:
    await send(pool, request())
    last = await failures(pool, *[TEMPORARY] * 5)
    await fail(pool, last, PERMANENT, attempt=attempt)
    await fail(pool, last, throttled(60), attempt=1)
    assert await due(pool) is None


async def test_more_than_a_failure_of_a_throttled_attempt_ends_the_repeats(pool: Pool) -> None:
    await send(pool, request("s1"), request("s2"), request("s3"))
    for name in ("s1", "s2", "s3"):
        await fail(pool, 20, throttled(60), name)
    await send(pool, receipt("delivered", "s1", minutes=20))
    await send(pool, receipt("failed", "s2", minutes=20, **PERMANENT))
    await send(pool, receipt("failed", "s3", minutes=20, contact_stopped=True, **throttled(90)))
    assert await repeat(pool, DAY) == []
    assert [(await standing(pool, name))[0] for name in ("s1", "s2", "s3")] == ["delivered", "failed", "failed"]


async def test_a_provider_that_throttles_for_ever_is_left_after_a_hundred_attempts(pool: Pool) -> None:
    await send(pool, request())
    minutes = 20.0
    for number in range(1, MOST_IN_ALL + 1):
        await fail(pool, minutes, throttled(60), attempt=number)
        minutes += 1
        dispatched = [v["attempt"] for v in values(await repeat(pool, minutes), "sends.dispatch")]
        assert dispatched == ([number + 1] if number < MOST_IN_ALL else [])
    assert (await standing(pool), await due(pool)) == (("failed", "429", MOST_IN_ALL), None)


async def test_a_person_may_have_another_attempt_made_as_long_as_five_that_count_are_not_reached(pool: Pool) -> None:
    await send(pool, request())
    last = await failures(pool, *[throttled(60)] * 3, *[TEMPORARY] * 3)
    for number, answer in ((7, {"status": "failed", "next_attempt": 8}), (8, "invalid")):
        last += DAY
        await repeat(pool, last)
        await send(pool, receipt("ambiguous", minutes=last, attempt=number))
        said = settle("retry", minutes=last)
        assert await results(pool, said) == [answer]


async def test_an_attempt_that_ran_out_of_time_and_was_throttled_does_not_count(pool: Pool) -> None:
    await send(pool, request())
    await transact(pool, lambda tx: jobs.run_out(tx, at(3 * DAY)))
    assert (await standing(pool), await due(pool)) == (("failed", "not_claimed", 1), None)
    await fail(pool, 4 * DAY, throttled(60))
    assert (await standing(pool), await due(pool)) == (("failed", "429", 1), at(4 * DAY + 1))
    assert [v["attempt"] for v in values(await repeat(pool, 5 * DAY), "sends.dispatch")] == [2]


@pytest.mark.parametrize("seed", range(4))
async def test_a_send_has_as_many_attempts_whatever_the_order_of_its_receipts(pool: Pool, seed: int) -> None:
    """Each attempt fails with some receipts, of which one comes before the next attempt, the others at any time."""
    dice = random.Random(seed)  # noqa: S311 - repeatable, and no secret
    await send(pool, request())
    expected, counted = [], 0
    while counted < MOST_THAT_COUNT:
        bag = [dice.choice((TEMPORARY, TEMPORARY, throttled(dice.choice((0, 60, 7_200))))) for _ in range(3)]
        expected.append(bag)
        counted += all(what is TEMPORARY for what in bag)
    minutes, attempt = 20.0, 1
    waiting: list[tuple[int, dict[str, Any]]] = []
    while True:
        if attempt:
            first, *others = dice.sample(expected[attempt - 1], 3)
            waiting += [(attempt, what) for what in others]
            await fail(pool, minutes, first, attempt=attempt)
        while waiting and dice.random() < 0.4:
            number, what = waiting.pop(dice.randrange(len(waiting)))
            await fail(pool, minutes, what, attempt=number)
        minutes += DAY
        made = [v["attempt"] for v in values(await repeat(pool, minutes), "sends.dispatch")]
        attempt = made[0] if made else 0
        if not attempt and not waiting:
            break
    assert (await standing(pool), await due(pool)) == (
        ("failed", expected[-1][0]["error"]["code"], len(expected)),
        None,
    )


SAID = st.lists(
    st.tuples(
        st.sampled_from(("sent", "failed", "failed", "failed", "delivered", "ambiguous")),
        st.booleans(),
        st.sampled_from((None, 0.0, 60.0, 1e9)),
        st.booleans(),
    ),
    max_size=4,
)


@given(SAID)
def test_whether_an_attempt_counts_and_how_long_it_waits_is_the_same_in_any_order(
    said: list[tuple[Any, bool, float | None, bool]],
) -> None:
    arrivals = [
        ReceiptArrival(
            DeliveryReceipt(
                workspace_id=WORKSPACE,
                channel_id="c",
                send_id=uuid_of("s1"),
                status=status,
                at=at(20),
                error=ReceiptError(code="x", permanent=permanent, retry_after_s=wait),
                contact_stopped=stopped,
            ),
            at(20),
            cause_of(NO_INPUT),
        )
        for status, permanent, wait, stopped in said
    ]
    ends = set()
    for order in permutations(arrivals):
        attempt = Attempt(
            workspace_id=WORKSPACE, send_id=uuid_of("s1"), attempt=1, channel_id="c", status="dispatched",
            dispatched_at=at(10),
        )  # fmt: skip
        for arrival in order:
            attempt = forward(attempt, arrival)
        ends.add((attempt.status, attempt.permanent, attempt.not_before, attempt.throttled))
    [(status, *_, slow)] = ends
    failed = [(wait, permanent or stopped) for s, permanent, wait, stopped in said if s == "failed"]
    asked = any(wait is not None for wait, final in failed if not final)
    assert slow == (status == "failed" and asked and not any(final for _, final in failed))
