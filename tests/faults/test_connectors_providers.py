"""Providers that are slow, dead, busy or wrong: every attempt gets a receipt that says what is known, and nobody gets a
message twice.
"""

import socket
from typing import Final

import pytest

from connectors.provider import Answer
from tests.faults.connected import Connected, text_of
from tests.support.ports import free_port
from workers.errors import ExitCode

pytestmark = [pytest.mark.kafka, pytest.mark.asyncio(loop_scope="module")]

LYING: Final = Answer(200, {"content-type": "application/json"}, b'{"ok": true, "result": {"date": 0}}')
BUSY: Final = Answer(
    429,
    {"content-type": "application/json"},
    b'{"ok": false, "error_code": 429, "description": "Too Many Requests", "parameters": {"retry_after": 60}}',
)


async def test_every_answer_of_a_provider_becomes_a_receipt(connectors: Connected) -> None:
    provider = connectors.provider
    silent, reset, broken, short, stopped, refused, lying, busy, _ = sends = connectors.sends(9)
    for send, fault in (
        (silent, "timeout"),
        (reset, "reset"),
        (broken, "broken"),
        (short, "throttled"),
        (stopped, "stopped"),
        (refused, "refused"),
    ):
        provider.faults[text_of(send)] = [fault]
    provider.answers = {text_of(lying): LYING, text_of(busy): BUSY}
    sender = await connectors.sender()
    await connectors.play(*sends)
    await connectors.settled()

    assert await connectors.attempts(*sends) == [
        ["ambiguous"],
        ["ambiguous"],
        ["ambiguous"],
        ["sent"],
        ["failed 403"],
        ["failed 400"],
        ["ambiguous"],
        ["failed 429"],
        ["sent"],
    ]
    assert connectors.calls() == {text_of(send): 1 for send in sends} | {text_of(short): 2}
    assert set(provider.shown().values()) == {1}
    assert await sender.stop() == ExitCode.CLEAN, sender.tail()
    await connectors.assert_committed()


@pytest.mark.parametrize("channel", ["line", "custom"])
async def test_a_call_in_doubt_is_repeated_with_its_key_and_the_person_gets_one_message(
    connectors: Connected, channel: str
) -> None:
    faults = (["timeout"], ["reset"], ["broken"], ["broken", "reset", "throttled"], ["timeout", "broken"])
    sends = connectors.sends(len(faults), channel)
    connectors.provider.faults = {text_of(send): list(f) for send, f in zip(sends, faults, strict=True)}
    await connectors.sender()
    await connectors.play(*sends)
    await connectors.settled()

    assert await connectors.attempts(*sends) == [["sent"]] * len(sends)
    assert connectors.calls() == {text_of(send): len(f) + 1 for send, f in zip(sends, faults, strict=True)}
    assert connectors.provider.shown() == {text_of(send): 1 for send in sends}


async def test_a_dead_provider_has_taken_nothing(connectors: Connected) -> None:
    connectors.write(f"http://127.0.0.1:{free_port()}")
    sends = [send for channel in ("telegram", "custom") for send in connectors.sends(3, channel)]
    await connectors.sender()
    await connectors.play(*sends)
    await connectors.settled_claims_of(*sends)
    assert await connectors.attempts(*sends) == [["failed not_connected"]] * len(sends)


async def test_a_provider_that_accepts_no_connection_has_taken_nothing(connectors: Connected) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.settimeout(0)
            one.connect_ex(full.getsockname())
        connectors.write(f"http://127.0.0.1:{full.getsockname()[1]}")
        sends = connectors.sends(3)
        await connectors.sender()
        await connectors.play(*sends)
        await connectors.settled_claims_of(*sends)
        for one in waiting:
            one.close()
    assert await connectors.attempts(*sends) == [["failed not_connected"]] * len(sends)
