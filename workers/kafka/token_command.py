"""Tokens of SASL OAUTHBEARER from a command: what it prints to standard output is the token.

One token serves all connections of a process. A new one is fetched when a connection is made and a fifth of the time of
the last one, or less, is left. No token, and nothing else that the command prints, is logged or part of an error.
"""

import asyncio
import os
import signal
import time
from base64 import urlsafe_b64decode
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import msgspec
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import KafkaConnectionError

_WITHIN_S: Final = 15.0
_LARGEST: Final = 64 * 1024
_OF_OPAQUE_S: Final = 60.0
"""How long a token is used that does not say when it ends."""
_LEFT: Final = 0.2
_NAME: Final = "the command of SLUICE_KAFKA_TOKEN_COMMAND"


class NoToken(KafkaConnectionError):  # noqa: N818 - a state, not a mistake
    """The command gave no token: like a broker that does not answer, it may do so later."""


class _Claims(msgspec.Struct):
    exp: float | None = None


class TokenCommand(AbstractTokenProvider):
    """The tokens of one process. `command`: a program and its arguments, run without a shell."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = tuple(command)
        self._token = ""
        self._until = 0.0
        self._fetching: asyncio.Task[str] | None = None

    async def token(self) -> str:
        """A token that is good for a while.

        Raises:
            NoToken: the command failed, took too long, or printed something else.
        """
        if time.time() < self._until:
            return self._token
        # Several connections are made at once, and who waits for one of them may give up.
        loop = asyncio.get_running_loop()
        if self._fetching is None or self._fetching.done() or self._fetching.get_loop() is not loop:
            self._fetching = asyncio.create_task(self._fetch(), name="token command")
            self._fetching.add_done_callback(_seen)
        return await asyncio.shield(self._fetching)

    async def _fetch(self) -> str:
        now = time.time()
        token = await _printed(self._command)
        ends = _end_of(token)
        self._token = token
        self._until = now + _OF_OPAQUE_S if ends is None else now + (ends - now) * (1 - _LEFT)
        return token


def _seen(task: "asyncio.Task[str]") -> None:
    if not task.cancelled():
        task.exception()  # if nobody waits any more, asyncio would log it


async def _printed(command: Sequence[str]) -> str:
    nothing = asyncio.subprocess.DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=nothing, stdout=asyncio.subprocess.PIPE, stderr=nothing, start_new_session=True
        )
    except OSError as error:
        raise NoToken(f"{_NAME} cannot be run: {error.strerror}") from None
    try:
        async with asyncio.timeout(_WITHIN_S):
            output, _ = await process.communicate()
    except TimeoutError:
        raise NoToken(f"{_NAME} gave no token within {_WITHIN_S:g} s") from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # also what it has started
            await process.wait()
    if process.returncode != 0:
        raise NoToken(f"{_NAME} ended with exit code {process.returncode}: run it by hand to see why")
    return _token_in(output)


def _token_in(output: bytes) -> str:
    token = output.strip()
    if not 0 < len(token) <= _LARGEST or not all(0x21 <= byte <= 0x7E for byte in token):
        raise NoToken(f"{_NAME} printed no token: one word of ASCII is expected, and nothing else")
    return token.decode("ascii")


def _end_of(token: str) -> float | None:
    """When the token ends, as Unix time; None if it does not say so. Only the broker can check that it is genuine."""
    parts = token.split(".")
    if len(parts) < 2:
        return None
    try:
        claims = urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        return msgspec.json.decode(claims, type=_Claims).exp
    except (ValueError, msgspec.MsgspecError):
        return None
