"""What the simulator does alike for WhatsApp, Messenger and Instagram."""

from typing import Any, Final

import msgspec

from connectors.events import json_object
from connectors.provider import Answer, Channel, Webhook
from connectors.providers.meta import signature
from connectors.simulator.played import ApiRequest, json_answer

LONGEST_REFERENCE: Final = 512


def signed(channel: Channel, about: str, entry: dict[str, Any]) -> Webhook:
    """A webhook with one entry, as Meta signs it."""
    body = msgspec.json.encode({"object": about, "entry": [entry]})
    headers = {"content-type": "application/json", "x-hub-signature-256": signature(channel, body)}
    return Webhook("POST", "", headers, body)


def asked(channel: Channel, request: ApiRequest, path: str) -> dict[str, Any] | Answer:
    """The body of a call to this path with the channel's token; else the error that the Graph API answers."""
    if request.headers.get("authorization") != f"Bearer {channel.keys.access_token.text}":
        return error(401, 190, "Invalid OAuth access token - Cannot parse access token")
    if request.method != "POST" or request.path != path:
        return error(400, 100, "Unsupported post request. Object does not exist", error_subcode=33)
    try:
        return json_object(request.body)
    except ValueError:
        return error(400, 100, "(#100) The body is no JSON object")


def error(status: int, code: int, text: str, **more: Any) -> Answer:
    """An error in the shape of the Graph API."""
    told = {"message": text, "type": "OAuthException", "code": code} | more | {"fbtrace_id": "Az8or2yhqkZfEZ"}
    return json_answer(status, {"error": told})


def missing(what: str) -> Answer:
    """The error for a field that is missing."""
    return error(400, 100, f"(#100) The parameter {what} is required.")
