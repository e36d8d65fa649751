"""The simulator takes a repeated call once, where the provider does."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import httpx
import pytest

from connectors.provider import Answer, Call, Channel, Outcome
from connectors.simulator.deliveries import Deliveries
from connectors.simulator.playing import Simulator
from connectors.simulator.server import SimulatorServer
from tests.connectors.test_simulator_agrees import person_of
from tests.connectors.test_vectors import dispatch
from tests.connectors.vectors import channel_of

NOW: Final = datetime(2026, 12, 1, 10, tzinfo=UTC)
HOST: Final = "http://localhost"


async def called(client: httpx.AsyncClient, channel: Channel, attempt: int) -> Outcome:
    told = {"address": person_of(channel.provider.name), "attempt": attempt}
    call = channel.provider.request(
        channel, dispatch(channel.provider.name, {**told, "content": {"type": "text", "text": "Hello"}})
    )
    assert isinstance(call, Call)
    call = channel.provider.sign(channel, call, NOW) if channel.provider.sign else call
    answer = await client.request(call.method, call.url, headers=dict(call.headers), content=call.body)
    return channel.provider.outcome(channel, Answer(answer.status_code, answer.headers, answer.content))


@pytest.mark.parametrize(("name", "messages"), [("line", 2), ("custom", 2), ("viber", 3), ("twilio", 3)])
async def test_a_repeated_call_is_one_message_where_its_key_says_so(name: str, messages: int) -> None:
    played = channel_of(name)
    channel = replace(played, base_url=f"{HOST}/api/{played.workspace_id}/{played.channel_id}")
    deliveries = Deliveries(HOST)
    simulator = Simulator([channel], deliveries, reports=False)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=SimulatorServer(simulator).app)) as client:
        outcomes = [await called(client, channel, attempt) for attempt in (1, 1, 2)]
        phones = (await client.get(f"{HOST}/phones")).json()["phones"]
    await deliveries.stop()

    assert [outcome.status for outcome in outcomes] == ["sent"] * 3
    assert len({outcome.provider_message_id for outcome in outcomes}) == messages
    assert sum(len(phone["messages"]) for phone in phones) == messages
