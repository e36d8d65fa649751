"""What Twilio signs: https://www.twilio.com/docs/usage/webhooks/webhooks-security"""

import base64
import hashlib
import hmac
from datetime import datetime
from typing import Final
from urllib.parse import parse_qs, urlsplit

from connectors.provider import Channel, Secret, Webhook

_FORM: Final = "application/x-www-form-urlencoded"
_MOST_FIELDS: Final = 300
_LARGEST_FORM: Final = 256 * 1024
"""Many times what Twilio sends. A larger form would take seconds to read before anybody knows who sent it."""
_PORTS: Final = {"https": 443, "http": 80}


def signature_of(secret: Secret, url: str, fields: dict[str, list[str]]) -> bytes:
    """What Twilio signs: the whole address with its query, then names and values of a form in the order of names."""
    pairs = "".join(name + value for name in sorted(fields) for value in sorted(set(fields[name])))
    whole = (url + pairs).encode(errors="surrogateescape")
    return base64.b64encode(hmac.digest(secret.key, whole, hashlib.sha1))


def verify(channel: Channel, webhook: Webhook, _now: datetime) -> bool:
    """The signature holds the address that is configured, never one of a header. A body that is no form is signed by
    its digest, which is part of the address.
    """
    url = channel.keys.public_url + (f"?{webhook.query}" if webhook.query else "")
    given = webhook.headers.get("x-twilio-signature", "").encode()
    try:
        fields, whole = (fields_of(webhook.body), True) if is_form(webhook) else ({}, _is_digest_right(webhook))
    except ValueError:
        return False
    token = channel.keys.auth_token
    matches = [hmac.compare_digest(signature_of(token, spelt, fields), given) for spelt in _spellings(url)]
    return whole and any(matches)


def is_form(webhook: Webhook) -> bool:
    """Whether the body is a form, as it is unless a header says otherwise."""
    return webhook.headers.get("content-type", _FORM).partition(";")[0].strip().lower() == _FORM


def _is_digest_right(webhook: Webhook) -> bool:
    told = fields_of(webhook.query.encode()).get("bodySHA256", [""])[0]
    return hmac.compare_digest(told.encode(errors="replace"), hashlib.sha256(webhook.body).hexdigest().encode())


def _spellings(url: str) -> tuple[str, str]:
    """Twilio signs the address without its port, or with it; also where the port is the usual one."""
    parts = urlsplit(url)
    host = parts.netloc.removesuffix(f":{parts.port}")
    port = parts.port or _PORTS[parts.scheme]
    return url.replace(parts.netloc, host, 1), url.replace(parts.netloc, f"{host}:{port}", 1)


def fields_of(form: bytes) -> dict[str, list[str]]:
    """The values of a form, by their names. Bytes that are no UTF-8 become lone surrogates.

    Raises:
        ValueError: there are too many, or they are too large.
    """
    if len(form) > _LARGEST_FORM:
        raise ValueError("Expected a smaller form")
    text = form.decode(errors="surrogateescape")
    return parse_qs(text, keep_blank_values=True, errors="surrogateescape", max_num_fields=_MOST_FIELDS)
