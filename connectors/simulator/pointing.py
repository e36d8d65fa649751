"""Points channels at the simulator, and makes up the secrets that cannot be read."""

from dataclasses import replace
from hashlib import sha256

import msgspec

from connectors.channels import secret_of
from connectors.provider import Channel, Url


def made_up(reference: str) -> str:
    """The secret, or where it cannot be read another one that is always the same for its reference."""
    try:
        return secret_of(reference)
    except ValueError:
        return f"made-up-{sha256(reference.encode()).hexdigest()[:24]}"


def pointed(channel: Channel, simulator: str, mail_port: int | None = None) -> Channel:
    """The channel with the addresses of a simulator (http://host:port) in place of its provider's."""
    api = f"{simulator}/api/{channel.workspace_id}/{channel.channel_id}"
    own: dict[str, object] = {}
    if hasattr(channel.keys, "send_url"):
        own["send_url"] = Url(f"{api}/messages")
    if hasattr(channel.keys, "smtp_host"):
        own |= {"smtp_host": "127.0.0.1", "smtp_port": mail_port, "smtp_tls": "none"}
    return replace(channel, base_url=api, keys=msgspec.structs.replace(channel.keys, **own))
