"""How the simulator breaks connections: a caller sees what it would see of a provider."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import httpx
import pytest

from connectors.simulator.deliveries import Deliveries
from connectors.simulator.playing import Simulator
from connectors.simulator.server import SimulatorServer
from tests.connectors.vectors import channel_of
from workers.process.http_server import listening, serve_http

TELEGRAM: Final = channel_of("telegram")
STOPS_S: Final = 5.0


@pytest.fixture
async def simulator() -> AsyncIterator[tuple[Simulator, str]]:
    sock, stop, deliveries = listening("127.0.0.1", 0), asyncio.Event(), Deliveries("http://127.0.0.1:9")
    playing = Simulator([TELEGRAM], deliveries, reports=False)
    serving = asyncio.create_task(serve_http(SimulatorServer(playing).app, sock, stop))
    yield playing, f"http://127.0.0.1:{sock.getsockname()[1]}"
    stop.set()
    await asyncio.wait_for(serving, STOPS_S)
    await deliveries.stop()
    sock.close()


async def call(url: str, timeout_s: float = 5.0) -> httpx.Response:
    api = f"{url}/api/{TELEGRAM.workspace_id}/{TELEGRAM.channel_id}/bot{TELEGRAM.keys.bot_token.text}/sendMessage"
    async with httpx.AsyncClient(trust_env=False, timeout=timeout_s) as client:
        return await client.post(api, json={"chat_id": "1", "text": "hello"})


async def test_a_connection_breaks_without_an_answer(simulator: tuple[Simulator, str]) -> None:
    playing, url = simulator
    playing.schedule(TELEGRAM, "reset")
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        await call(url)
    assert (await call(url)).status_code == 200


async def test_a_call_without_an_answer_ends_with_its_caller(simulator: tuple[Simulator, str]) -> None:
    """The fixture sees that the server stops soon afterwards."""
    playing, url = simulator
    playing.schedule(TELEGRAM, "timeout")
    with pytest.raises(httpx.ReadTimeout):
        await call(url, 0.5)
    assert playing.calls == 1
