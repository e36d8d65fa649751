"""Several senders of one group, of which some stand still, come and go: one call of each attempt, in the order of each
recipient.
"""

import asyncio
from collections import defaultdict
from pathlib import Path
from signal import SIGCONT, SIGSTOP

import pytest

from tests.faults import connector_processes
from tests.faults.connected import Connected, address_of, text_of
from tests.faults.process import Fault
from workers.errors import ExitCode

pytestmark = [pytest.mark.kafka, pytest.mark.asyncio(loop_scope="module")]


@pytest.mark.parametrize("point", ["unclaimed", "claimed", "called"])
async def test_a_sender_that_stood_still_for_longer_than_its_session_sends_nothing_again(
    connectors: Connected, point: str
) -> None:
    zombie = await connectors.sender(Fault(point, 3, SIGSTOP))
    sends = connectors.sends(60)
    await connectors.play(*sends)
    await zombie.is_paused()
    heir = await connectors.sender()
    await connectors.settled()
    zombie.send(SIGCONT)
    more = connectors.sends(20)
    await connectors.play(*more)
    await connectors.settled()

    assert [await one.stop() for one in (zombie, heir)] == [ExitCode.CLEAN] * 2, connectors.told()
    # What the zombie had claimed it sends after all, once. The time of calls that it was amid is over, and of those it
    # cannot tell what became.
    calls = connectors.calls()
    attempts = await connectors.attempts(*sends, *more)
    assert set(calls.values()) == {1}
    assert {len(found) for found in attempts} == {1}
    assert {status for [status] in attempts} <= {"sent", "ambiguous", "failed not_connected"}
    assert all(text_of(send) in calls for send, [status] in zip(sends, attempts, strict=False) if status == "sent")
    assert attempts[60:] == [["sent"]] * 20
    await connectors.assert_committed()


async def test_messages_of_a_person_arrive_in_order_while_senders_come_and_go(connectors: Connected) -> None:
    connectors.provider.pause_s = 0.1
    people = [address_of("telegram", number) for number in range(15)]
    sends = connectors.sends(20 * len(people), to=people)
    first = await connectors.sender()
    playing = asyncio.create_task(connectors.play(*sends))
    await connectors.provider.has_heard_so_many(60)
    second = await connectors.sender()
    await connectors.provider.has_heard_so_many(120)
    third = await connectors.sender()
    await connectors.provider.has_heard_so_many(180)
    assert await first.stop() == ExitCode.CLEAN, first.tail()
    await playing
    await connectors.settled()

    assert [await one.stop() for one in (second, third)] == [ExitCode.CLEAN] * 2, connectors.told()
    assert await connectors.attempts(*sends) == [["sent"]] * len(sends)
    assert connectors.calls() == {text_of(send): 1 for send in sends}
    wanted, came = defaultdict(list), defaultdict(list)
    to = {text_of(send): send["to"]["address"] for send in sends}
    for send in sends:
        wanted[send["to"]["address"]].append(text_of(send))
    for text in connectors.provider.asked:
        came[to[text]].append(text)
    assert came == wanted
    await connectors.assert_committed()


async def test_a_sender_of_other_channels_is_refused_until_the_first_one_stopped(
    connectors: Connected, tmp_path: Path
) -> None:
    first = await connectors.sender()
    whole = connectors.file.read_text(encoding="utf-8")
    fewer = tmp_path / "fewer.toml"
    fewer.write_text(whole.rpartition("\n\n[[channel]]")[0], encoding="utf-8")
    refused = await connectors.start(connector_processes.send, "", None, {"SLUICE_CHANNELS_FILE": str(fewer)})
    assert await refused.ended() == ExitCode.SETUP, refused.tail()
    [line] = [line["event"] for line in refused.logged() if line["level"] == "error"]
    assert f"another sender of the group {connectors.group} serves other channels" in line
    assert await first.stop() == ExitCode.CLEAN, first.tail()

    sends = connectors.sends(3)
    await connectors.sender(SLUICE_CHANNELS_FILE=str(fewer))
    await connectors.play(*sends)
    await connectors.settled()
    assert await connectors.attempts(*sends) == [["sent"]] * 3
