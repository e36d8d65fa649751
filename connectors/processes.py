"""Receiver, sender and simulator as processes of their own."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from connectors.provider import Channel
from connectors.receiver import process as receiver
from connectors.sender import process as sender
from connectors.sender.attempts import EARLIER_LIFE_S, Probe, no_probe
from connectors.simulator import process as simulator
from workers.app.settings import Settings
from workers.errors import ExitCode
from workers.process.health import Health
from workers.process.http_server import listening
from workers.process.production import Produced
from workers.process.program import run_program


def receiving(
    settings: Settings, channels: Sequence[Channel], host: str, port: int, announced: Sequence[Produced] = ()
) -> ExitCode:
    """A receiver, until a signal asks to stop. `announced`: see `serve`.

    Raises:
        SettingsError: the address is not available.
    """
    sock = listening(host, port)
    return run_program(settings, lambda stop, health: receiver.serve(settings, channels, sock, stop, health, announced))


def sending(
    settings: Settings,
    channels: Sequence[Channel],
    group: str,
    *,
    probe: Probe = no_probe,
    earlier_life_s: float = EARLIER_LIFE_S,
) -> ExitCode:
    """A sender in a consumer group, until a signal asks to stop. `probe`, `earlier_life_s`: see `Attempts`."""

    def work(stop: asyncio.Event, health: Health) -> Coroutine[Any, Any, None]:
        return sender.send(settings, channels, group, stop, health, probe=probe, earlier_life_s=earlier_life_s)

    return run_program(settings, work)


def simulating(settings: Settings, channels: Sequence[Channel], host: str, port: int, receiver_url: str) -> ExitCode:
    """The simulator, until a signal asks to stop.

    Raises:
        SettingsError: the address is not available.
    """
    sock = listening(host, port)
    return run_program(settings, lambda stop, health: simulator.simulate(channels, sock, receiver_url, stop, health))
