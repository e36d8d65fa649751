"""Points channels at the simulator, and makes up the secrets that cannot be read."""

import socket
from dataclasses import replace
from hashlib import sha256

import msgspec

from connectors.channels import secret_of
from connectors.provider import Channel, Url
from connectors.simulator import smtp

_HOST = "127.0.0.1"


def made_up(reference: str) -> str:
    """The secret, or where it cannot be read another one that is always the same for its reference."""
    try:
        return secret_of(reference)
    except ValueError:
        return f"made-up-{sha256(reference.encode()).hexdigest()[:24]}"


def pointed(channel: Channel, simulator: str) -> Channel:
    """The channel with the addresses of a simulator (http://host:port) in place of its provider's. Mail goes to free
    ports of this machine.
    """
    if channel.provider.name == "smtp":
        channel = smtp.pointed_at(channel, _HOST, _free_port())
        return replace(channel, keys=msgspec.structs.replace(channel.keys, listen=f"{_HOST}:{_free_port()}"))
    api = f"{simulator}/api/{channel.workspace_id}/{channel.channel_id}"
    if hasattr(channel.keys, "send_url"):
        return replace(channel, keys=msgspec.structs.replace(channel.keys, send_url=Url(f"{api}/messages")))
    return replace(channel, base_url=api)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port
