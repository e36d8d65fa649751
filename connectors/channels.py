"""The channels file: which channels this installation has, and how their providers know us.

Errors are one line that names the entry and the key, and never a value: a value may be a secret.
"""

import os
import tomllib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from connectors.provider import Channel, Secret, Url
from connectors.providers import PROVIDERS
from schemas.fields import ChannelId, Name, Region, WorkspaceId
from workers.app.settings import Settings
from workers.errors import SettingsError

_LARGEST_SECRET: Final = 16_384
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_HINT: Final = "see docs/channels.md"

ReadSecret = Callable[[str], str]


class _Common(Struct, frozen=True, kw_only=True):
    """The keys that every entry has."""

    workspace_id: WorkspaceId
    channel_id: ChannelId
    provider: str
    base_url: Url | None = None
    rate_per_second: Annotated[float, Meta(gt=0, le=100_000)] | None = None
    timeout_s: Annotated[float, Meta(gt=0, le=120)] = 15.0
    name: Name | None = None
    default_region: Region | None = None


_COMMON: Final = frozenset(_Common.__struct_fields__)


def channels_file(settings: Settings) -> Path:
    """The file that SLUICE_CHANNELS_FILE names.

    Raises:
        SettingsError: it is not set.
    """
    if settings.channels_file is None:
        raise SettingsError(f"SLUICE_CHANNELS_FILE is not set: the TOML file of your channels, {_HINT}")
    return settings.channels_file


def channels_of(path: Path, read_secret: ReadSecret | None = None) -> list[Channel]:
    """The channels of a file, in their order. `read_secret` is `secret_of` unless given.

    Raises:
        SettingsError: the file cannot be read, or an entry is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise SettingsError(f"the channels file {path} cannot be read: {reason}") from None
    try:
        return parsed(text, read_secret or secret_of)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from None


def parsed(text: str, read_secret: ReadSecret) -> list[Channel]:
    """The channels of a file's text.

    Raises:
        SettingsError: it is wrong.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # The words of this error quote characters of the file; its place does not.
        raise SettingsError(f"no TOML: {_place_of(error)}") from None
    except (ValueError, RecursionError):  # a number of thousands of digits, or lists in lists in lists
        raise SettingsError("no TOML that can be read") from None
    unknown = sorted(set(document) - {"channel"})
    if unknown:
        raise SettingsError(f"unknown key `{_shown(unknown[0])}`: expected tables [[channel]], {_HINT}")
    entries = document.get("channel", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise SettingsError(f"`channel` must be tables [[channel]], {_HINT}")
    if not entries:
        raise SettingsError(f"there is no [[channel]], {_HINT}")
    return parsed_entries(entries, read_secret)


def parsed_entries(entries: Sequence[Mapping[str, Any]], read_secret: ReadSecret) -> list[Channel]:
    """The channels of a file's entries.

    Raises:
        SettingsError: one is wrong, or there are two of one channel.
    """
    channels = [_channel(entry, _named(number, entry), read_secret) for number, entry in enumerate(entries, start=1)]
    places = Counter((channel.workspace_id, channel.channel_id) for channel in channels)
    for number, channel in enumerate(channels, start=1):
        if places[channel.workspace_id, channel.channel_id] > 1:
            raise SettingsError(f"channel {number} ({channel.place}): there are two entries of this channel")
    return channels


def secret_of(reference: str) -> str:
    """The text of a secret that is `env:NAME` or `file:PATH`.

    Raises:
        ValueError: it is neither, or cannot be read.
    """
    kind, _, where = reference.partition(":")
    match kind:
        case "env":
            text = os.environ.get(where, "")
            missing = "is env:NAME, but this variable is not set"
        case "file":
            missing = "is file:PATH, but this file cannot be read"
            try:
                with Path(where).open("rb") as file:
                    text = file.read(_LARGEST_SECRET).decode().strip()
            except (OSError, ValueError):
                raise ValueError(missing) from None
        case _:
            raise ValueError("must be env:NAME or file:PATH, never the secret itself")
    if not text.strip() or not text.isprintable():
        raise ValueError(missing if not text.strip() else "holds characters that no secret has")
    return text.strip()


def _channel(entry: Mapping[str, Any], named: str, read_secret: ReadSecret) -> Channel:
    common = _converted({k: v for k, v in entry.items() if k in _COMMON}, _Common, named, read_secret)
    provider = PROVIDERS.get(common.provider)
    if provider is None:
        raise SettingsError(f"{named}: `provider` must be one of {', '.join(sorted(PROVIDERS))}")
    own = {k: v for k, v in entry.items() if k not in _COMMON}
    names = provider.keys.__struct_encode_fields__
    unknown = sorted(set(own) - set(names))
    if unknown:
        known = ", ".join(f"`{name}`" for name in names)
        raise SettingsError(f"{named}: unknown key `{_shown(unknown[0])}`; {provider.name} has {known}")
    keys = _converted(own, provider.keys, named, read_secret)
    if keys.kind not in provider.kinds:
        raise SettingsError(f"{named}: `channel` must be one of {', '.join(provider.kinds)}")
    return Channel(
        workspace_id=common.workspace_id,
        channel_id=common.channel_id,
        kind=keys.kind,
        keys=keys,
        base_url=(common.base_url or provider.base_url).rstrip("/"),
        provider=provider,
        rate_per_second=common.rate_per_second,
        timeout_s=common.timeout_s,
        name=common.name,
        default_region=common.default_region,
    )


def is_safe(url: str) -> bool:
    """Whether secrets and messages may travel to this address: by TLS, or on this machine."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    plain = parts.scheme == "http" and host in _LOOPBACK
    return bool(host) and (plain or parts.scheme == "https") and "@" not in parts.netloc and not parts.fragment


def _converted(entry: Mapping[str, Any], kind: Any, named: str, read_secret: ReadSecret) -> Any:
    def resolve(type_: type, value: object) -> object:
        if type_ is Url:
            return _url(value)
        if type_ is not Secret or not isinstance(value, str):
            raise ValueError("must be env:NAME or file:PATH")
        return Secret(read_secret(value))

    try:
        return msgspec.convert(entry, kind, dec_hook=resolve)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{named}: {_worded(str(error))}") from None


def _url(value: object) -> Url:
    if not isinstance(value, str) or not is_safe(value):
        raise ValueError("must be https://host, or http:// of this machine, without user name")
    return Url(value)


def _worded(error: str) -> str:
    """msgspec's words, with the key first: `Expected int, got str - at `$.port``."""
    what, _, path = error.partition(" - at `$.")
    if what.startswith("Invalid enum value"):  # msgspec repeats the value
        what = "is none of the words that it may be"
    if path:
        return f"`{path.rstrip('`')}`: {what}"
    return what.replace("Object missing required field", "missing key")


def _named(number: int, entry: Mapping[str, Any]) -> str:
    place = "/".join(_shown(entry.get(key, "?")) for key in ("workspace_id", "channel_id"))
    return f"channel {number} ({place})"


def _shown(name: object) -> str:
    """A name of the file within one line."""
    return "".join(character if character.isprintable() else "?" for character in str(name)[:64])


def _place_of(error: tomllib.TOMLDecodeError) -> str:
    place = str(error).rpartition("(at ")[2].rstrip(")")
    return place if place.startswith(("line", "end")) else "it cannot be read"


def chosen(channels: Sequence[Channel], names: Sequence[str]) -> list[Channel]:
    """The channels with these names (`workspace_id/channel_id`); all if there are none.

    Raises:
        SettingsError: the file has no such channel.
    """
    unknown = sorted(set(names) - {channel.place for channel in channels})
    if unknown:
        raise SettingsError(f"the channels file has no channel {unknown[0]!r}")
    return [channel for channel in channels if not names or channel.place in names]


def listed(channels: Sequence[Channel]) -> list[dict[str, str | float | None]]:
    """What can be shown of channels: no secret is among it."""
    return [
        {
            "workspace_id": channel.workspace_id,
            "channel_id": channel.channel_id,
            "provider": channel.provider.name,
            "channel": channel.kind,
            "name": channel.name,
            "webhook": _reached_at(channel),
            "base_url": channel.base_url,
            "rate_per_second": channel.rate_per_second,
            "timeout_s": channel.timeout_s,
        }
        for channel in channels
    ]


def _reached_at(channel: Channel) -> str:
    """Where the provider reaches us: by mail, by the public address if the entry has it, else behind our host."""
    if hasattr(channel.keys, "listen"):
        return f"lmtp://{channel.keys.listen}"
    return str(getattr(channel.keys, "public_url", channel.webhook))
