"""The connectors of `sluice dev`: receiver, sender and, if wanted, the simulator, beside the workers."""

import asyncio
import socket
from collections.abc import Coroutine
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from connectors.channels import channels_of, secret_of
from connectors.provider import Channel
from connectors.receiver.announcing import announcements
from connectors.receiver.process import serve
from connectors.sender.process import send
from connectors.simulator.pointing import made_up, pointed
from connectors.simulator.process import simulate
from workers.app.settings import Settings, load_settings
from workers.dev.relay import LOOPBACK, listening, port_of
from workers.errors import SettingsError
from workers.process.production import Produced

RECEIVER_PORT: Final = 8081
SIMULATOR_PORT: Final = 8082
EXAMPLE: Final = Path("examples/channels.toml")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for. Ports that are None are the usual ones, if those are free."""

    channels_file: Path | None = None
    simulated: bool = False
    receiver_port: int | None = None
    simulator_port: int | None = None


class Connectors:
    """Runs beside the workers, once they consume. `lines` says where it listens."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._stack = ExitStack()
        self._tasks: list[asyncio.Task[None]] = []
        self._channels: list[Channel] = []
        self._announced: list[Produced] = []
        self._receiver: socket.socket | None = None
        self._simulator: socket.socket | None = None

    def __enter__(self) -> Self:
        """Reads the channels file and takes the ports.

        Raises:
            SettingsError: the file is wrong, or a port is in use.
        """
        file = self._wanted.channels_file or load_settings().channels_file
        if file is None and self._wanted.simulated and EXAMPLE.exists():
            file = EXAMPLE
        if file is None:
            if self._wanted.simulated:
                raise SettingsError(f"--simulate needs --channels FILE: there is no {EXAMPLE} here")
            return self
        simulated = self._wanted.simulated
        self._channels = channels_of(file, made_up if simulated else secret_of)
        self._announced = announcements(self._channels, file)
        with ExitStack() as stack:
            self._receiver = stack.enter_context(
                listening(self._wanted.receiver_port, RECEIVER_PORT, "--receiver-port")
            )
            if simulated:
                self._simulator = stack.enter_context(
                    listening(self._wanted.simulator_port, SIMULATOR_PORT, "--simulator-port")
                )
                self._channels = [pointed(channel, _url(self._simulator)) for channel in self._channels]
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def lines(self) -> list[str]:
        """What to tell people."""
        told = []
        if self._receiver is not None:
            told.append(f"  receiver: {_url(self._receiver)}/webhooks/…")
        if self._simulator is not None:
            told.append(f"  phones:   {_url(self._simulator)}/")
        return told

    def begin(self, settings: Settings, stop: asyncio.Event) -> None:
        """Starts everything. A part that ends by itself stops the whole process."""
        if self._receiver is None:
            return
        parts: list[Coroutine[Any, Any, None]] = [
            serve(settings, self._channels, self._receiver, stop, announced=self._announced),
            send(settings, self._channels, f"{settings.group_prefix}-send", stop),
        ]
        if self._simulator is not None:
            parts.append(simulate(self._channels, self._simulator, _url(self._receiver), stop))
        for part in parts:
            task = asyncio.create_task(part)
            task.add_done_callback(lambda _: stop.set())
            self._tasks.append(task)

    async def ended(self) -> None:
        """Waits until everything is over, and raises what a part raised."""
        for result in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result


def _url(sock: socket.socket) -> str:
    return f"http://{LOOPBACK}:{port_of(sock)}"
