"""Secrets of channels are in calls to their provider and nowhere else: no log, receipt, metric or error has them."""

import asyncio
import json
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any, Final

import msgspec
import pytest
from prometheus_client import generate_latest

from connectors.provider import Call, Channel, Secret
from connectors.providers import PROVIDERS
from connectors.sender import smtp
from connectors.sender.attempts import Attempts
from connectors.sender.dispatches import TOPIC, Dispatches
from connectors.sender.http import HttpTransport
from connectors.simulator.pointing import pointed
from schemas.building import RECEIPTS
from tests.connectors.test_http_sender import Provider
from tests.connectors.test_sender import Granting, publish, record
from tests.connectors.test_simulator_agrees import person_of
from tests.connectors.vectors import channel_of
from tests.support.brokers import Broker
from tests.support.ports import free_port
from tests.support.processes import settings_for
from workers.process.logs import configure_logging
from workers.process.production import Production

FAULTY: Final = (
    b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n",
    b"no HTTP\r\n\r\n",
)
LOGIN: Final = {"smtp": {"username": "sluice", "password": "p4ssword-of-acme"}}


def secrets_of(channel: Channel) -> list[str]:
    """The texts of the secrets of a channel."""
    values = [getattr(channel.keys, name) for name in channel.keys.__struct_fields__]
    return [value.text for value in values if isinstance(value, Secret)]


def at(name: str, port: int) -> Channel:
    """A channel whose provider is at a port of this machine; it calls once."""
    channel = channel_of(name, channel_id=f"to-{port}", timeout_s=1, **LOGIN.get(name, {}))
    if name == "smtp":
        keys = msgspec.structs.replace(channel.keys, smtp_host="127.0.0.1", smtp_port=port, smtp_tls="none")
        channel = replace(channel, keys=keys)
    else:
        channel = pointed(channel, f"http://127.0.0.1:{port}")
    return replace(channel, provider=replace(channel.provider, repeats=False))


@pytest.mark.parametrize("name", sorted(PROVIDERS))
async def test_whatever_a_provider_does_its_secrets_are_written_nowhere(
    broker: Broker, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging("json", "debug")
    await broker.create(TOPIC, RECEIPTS)
    told = settings_for("postgresql://nobody@127.0.0.1:9/none", broker)
    production, stop = Production(told.kafka(), "test"), asyncio.Event()
    providers = [Provider(answer) for answer in FAULTY]
    async with HttpTransport() as http, AsyncExitStack() as stack:

        class Transports:
            async def deliver(self, channel: Channel, call: Any) -> Any:
                if isinstance(call, Call):
                    return await http.deliver(channel, call)
                return await smtp.deliver(channel, call, channel.timeout_s)

        for provider in providers:
            await stack.enter_async_context(provider.running())
        ports = [*(provider.port for provider in providers), free_port()]
        channels = [at(name, port) for port in ports]
        dispatches = Dispatches(
            told, "g-send", channels, Attempts(Granting(told.required_database_url()), production, Transports(), 5.0)
        )
        sending = asyncio.create_task(dispatches.run(stop, lambda: None))
        person = {"channel": channels[0].kind, "address": person_of(name)}
        await publish(broker, *(record(f"no-{n}", channel_id=c.channel_id, **person) for n, c in enumerate(channels)))
        receipts = await broker.read(RECEIPTS, len(channels))
        stop.set()
        await asyncio.wait_for(sending, 30)
    await production.stop()

    written = capsys.readouterr()
    everything = [written.out, written.err, generate_latest().decode(), repr(channels)]
    everything += [(receipt.value or b"").decode() for receipt in receipts]
    secrets = secrets_of(channels[0])
    assert secrets
    assert not [text for text in everything for secret in secrets if secret in text]
    assert {json.loads(receipt.value or b"")["status"] for receipt in receipts} <= {"failed", "ambiguous"}
