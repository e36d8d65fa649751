"""The golden vectors of each provider: signatures, webhooks with their records, calls and answers."""

import json
from pathlib import Path
from typing import Any, Final

from connectors.channels import parsed_entries
from connectors.provider import Channel

FOLDER: Final = Path(__file__).parent
FILES: Final = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}


def cases(kind: str) -> list[Any]:
    """Every (provider, case) of one kind: `signatures`, `webhooks`, `calls` or `answers`."""
    return [(provider, case) for provider, file in FILES.items() for case in file.get(kind, [])]


def channel_of(provider: str, **overrides: Any) -> Channel:
    """The channel of a provider's vectors, with its secrets in clear."""
    [channel] = parsed_entries([FILES[provider]["channel"] | overrides], read_secret=str)
    return channel
