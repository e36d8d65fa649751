"""Signs webhooks as standardwebhooks.com says."""

import base64
import hmac
from typing import Final

_PREFIX: Final = "whsec_"


def signature(secret: bytes, id_: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of a signed webhook. `timestamp` is in seconds since 1970."""
    signed = hmac.digest(secret, f"{id_}.{timestamp}.".encode() + body, "sha256")
    return {
        "webhook-id": id_,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
    }


def secret_of(text: str) -> bytes:
    """The key of a secret: `whsec_` and 24 to 64 bytes in base64.

    Raises:
        ValueError: it is no such text.
    """
    key = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    if not text.startswith(_PREFIX) or not 24 <= len(key) <= 64:
        raise ValueError(f"expected {_PREFIX} and 24 to 64 bytes in base64")
    return key
