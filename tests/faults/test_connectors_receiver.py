"""Receivers are killed, and asked to stop: what a provider was told is taken was taken, and every message is applied
once, however often it came.
"""

import asyncio
from signal import SIGKILL

import pytest

from tests.faults.connected import Connected, assert_applied_once, say
from tests.faults.process import Fault
from workers.errors import ExitCode

pytestmark = [pytest.mark.kafka, pytest.mark.asyncio(loop_scope="module")]


async def test_a_receiver_killed_again_and_again_loses_nothing_and_doubles_nothing(connectors: Connected) -> None:
    receiver = await connectors.receiver(Fault("producing", 10))
    texts = []
    for fault in (Fault("acknowledged", 10), Fault("producing"), Fault("acknowledged", 40), None):
        texts += say(connectors, 30)
        assert await receiver.ended() == -SIGKILL, receiver.tail()
        receiver = await connectors.receiver(fault)
    await connectors.provider.has_told_everything()
    assert await receiver.stop() == ExitCode.CLEAN, receiver.tail()
    await assert_applied_once(connectors, texts)


async def test_a_receiver_that_is_asked_to_stop_answers_what_it_accepted(connectors: Connected) -> None:
    texts = []
    for _ in range(2):
        receiver = await connectors.receiver()
        texts += say(connectors, 60)
        await asyncio.sleep(0.2)
        assert await receiver.stop() == ExitCode.CLEAN, receiver.tail()
    await connectors.receiver()
    await connectors.provider.has_told_everything()
    await assert_applied_once(connectors, texts)
