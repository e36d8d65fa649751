"""Senders are killed at every point of an attempt, and asked to stop in the middle of them: nothing is sent twice, and
every attempt gets a receipt.
"""

import asyncio
from signal import SIGKILL
from typing import Final

import pytest

from tests.acceptance.scenes import claim
from tests.faults.connected import Connected, text_of
from tests.faults.process import Fault
from workers.errors import ExitCode

pytestmark = [pytest.mark.kafka, pytest.mark.asyncio(loop_scope="module")]

CHANNELS: Final = ("telegram", "line", "custom")


@pytest.mark.parametrize(
    ("point", "called", "status"),
    [("unclaimed", 1, "sent"), ("claimed", 0, "ambiguous"), ("called", 1, "ambiguous"), ("reported", 1, "sent")],
)
async def test_a_sender_killed_at_a_point_of_an_attempt_leaves_a_receipt_and_sends_nothing_twice(
    connectors: Connected, point: str, called: int, status: str
) -> None:
    _, *others = sends = connectors.sends(6, to=["7000001"])
    killed = await connectors.sender(Fault(point))
    await connectors.play(*sends)
    await connectors.killed(killed)

    await connectors.sender()
    await connectors.settled()
    assert await connectors.attempts(*sends) == [[status], *[["sent"]] * len(others)]
    assert [connectors.calls()[text_of(send)] for send in sends] == [called, *[1] * len(others)]


async def test_a_sender_killed_during_calls_sends_nothing_twice(connectors: Connected) -> None:
    silent = [send for channel in CHANNELS for send in connectors.sends(2, channel)]
    connectors.provider.faults = {text_of(send): ["timeout"] for send in silent}
    killed = await connectors.sender()
    await connectors.play(*silent)
    for send in silent:
        await connectors.provider.has_heard(text_of(send))
    killed.send(SIGKILL)
    await connectors.killed(killed)

    await connectors.sender()
    await connectors.settled()
    assert connectors.calls() == {text_of(send): 1 for send in silent}
    assert await connectors.attempts(*silent) == [["ambiguous"]] * len(silent)


async def test_senders_killed_again_and_again_send_everything_once(connectors: Connected) -> None:
    sends = [send for channel in CHANNELS for send in connectors.sends(100, channel)]
    playing = asyncio.create_task(connectors.play(*sends))
    for time, point in ((2, "claimed"), (9, "called"), (30, "reported"), (5, "called")):
        await connectors.killed(await connectors.sender(Fault(point, time)))
    await playing
    await connectors.sender()
    await connectors.settled()

    attempts = await connectors.attempts(*sends)
    assert {len(found) for found in attempts} == {1}
    assert set(connectors.calls().values()) == {1}
    unknown = {text_of(send) for send, [status] in zip(sends, attempts, strict=True) if status == "ambiguous"}
    assert len(unknown) >= 3
    assert {text_of(send) for send in sends} - set(connectors.calls()) <= unknown


async def test_a_sender_that_is_asked_to_stop_reports_what_it_claimed_and_commits(connectors: Connected) -> None:
    connectors.write(telegram=6.0)
    slow, *sends = connectors.sends(300)
    connectors.provider.faults[text_of(slow)] = ["timeout"]
    sender = await connectors.sender()
    await connectors.play(slow)
    await connectors.provider.has_heard(text_of(slow))
    playing = asyncio.create_task(connectors.play(*sends))
    await connectors.provider.has_heard(text_of(sends[50]))
    assert await sender.stop() == ExitCode.CLEAN, sender.tail()
    await playing
    await connectors.settled_claims()
    assert await connectors.attempts(slow) == [["ambiguous"]]
    assert len(connectors.calls()) < len(sends)

    again = await connectors.sender()
    await connectors.settled()
    assert await again.stop() == ExitCode.CLEAN, again.tail()
    assert await connectors.attempts(*sends) == [["sent"]] * len(sends)
    assert connectors.calls() == {text_of(send): 1 for send in (slow, *sends)}
    await connectors.assert_committed()


async def test_a_receipt_of_another_life_is_seen_soon(connectors: Connected) -> None:
    [send] = connectors.sends(1)
    await connectors.play(send)
    assert await claim(connectors.workspace, send) == (True, None)
    sender = await connectors.sender(FAULT_EARLIER_LIFE="90")
    await asyncio.sleep(1)
    await connectors.workspace.play(connectors.workspace.receipt(send, "sent"))
    await connectors.assert_committed(patience_s=15)
    assert connectors.calls() == {}
    assert await sender.stop() == ExitCode.CLEAN, sender.tail()
