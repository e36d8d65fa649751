"""Plays Twilio's API for messages."""

import base64
import re
from datetime import datetime
from typing import Final
from urllib.parse import parse_qs, urlencode, urlsplit

from connectors.provider import Answer, Channel, Webhook
from connectors.providers.twilio_signatures import signature_of
from connectors.simulator.played import ApiRequest, Played, Report, Said, Taken, json_answer

_LONGEST_TEXT: Final = 1_600
_ADDRESS: Final = re.compile(r"(?:whatsapp:)?\+[1-9][0-9]{6,14}")
_FORM: Final = "application/x-www-form-urlencoded"


def take(channel: Channel, request: ApiRequest, number: int) -> Taken | Answer:
    """Takes `Messages.json`. The reference is the address for reports."""
    keys = channel.keys
    account = base64.b64encode(f"{keys.account_sid}:{keys.auth_token.text}".encode()).decode()
    if request.headers.get("authorization") != f"Basic {account}":
        return _error(401, 20003, "Authenticate")
    if (request.method, request.path) != ("POST", f"/2010-04-01/Accounts/{keys.account_sid}/Messages.json"):
        return _error(404, 20404, f"The requested resource {request.path} was not found")
    fields = parse_qs(request.body.decode(errors="replace"), keep_blank_values=True)
    one = {name: values[0] for name, values in fields.items()}
    fault = _fault(channel, one)
    if fault is not None:
        return fault
    media = fields.get("MediaUrl", [])
    sid = f"{'MM' if media else 'SM'}{number:032x}"
    text = one.get("Body") or one.get("ContentSid") or media[0]
    message = {
        "sid": sid,
        "account_sid": keys.account_sid,
        "to": one["To"],
        "from": one.get("From"),
        "messaging_service_sid": one.get("MessagingServiceSid"),
        "body": one.get("Body", ""),
        "num_media": str(len(media)),
        "status": "queued",
        "error_code": None,
        "error_message": None,
    }
    return Taken(one["To"], text, sid, json_answer(201, message), one.get("StatusCallback", ""))


def _fault(channel: Channel, one: dict[str, str]) -> Answer | None:
    whatsapp = channel.kind == "whatsapp"
    if not _ADDRESS.fullmatch(one.get("To", "")) or one["To"].startswith("whatsapp:") is not whatsapp:
        return _error(400, 21211, "Invalid 'To' Phone Number")
    ours = one.get("From", "")
    if not ours and not one.get("MessagingServiceSid"):
        return _error(400, 21603, "A 'From' phone number is required")
    if ours and ours.startswith("whatsapp:") is not whatsapp:
        return _error(400, 63007, "Twilio could not find a Channel with the specified From address")
    if not any(one.get(name) for name in ("Body", "MediaUrl", "ContentSid")):
        return _error(400, 21602, "Message body is required")
    if len(one.get("Body", "")) > _LONGEST_TEXT:
        return _error(400, 21617, "The concatenated message body exceeds the 1600 character limit")
    return None


def say(channel: Channel, said: Said) -> Webhook:
    """A form of one message."""
    sid, prefix = f"SM{said.number:032x}", "whatsapp:" if channel.kind == "whatsapp" else ""
    fields = {
        "MessageSid": sid,
        "SmsSid": sid,
        "SmsMessageSid": sid,
        "AccountSid": channel.keys.account_sid,
        "From": f"{prefix}{said.sender}",
        "To": f"{prefix}{channel.keys.from_}",
        "Body": said.text,
        "NumMedia": "0",
        "NumSegments": "1",
        "SmsStatus": "received",
        "ApiVersion": "2010-04-01",
    }
    if prefix:
        fields |= {"ProfileName": said.name or "Somebody", "WaId": said.sender.removeprefix("+")}
    return _webhook(channel, "", fields)


def report(channel: Channel, taken: Taken, what: Report, _at: datetime) -> Webhook | None:
    """A form of one status. Nobody reports that an SMS was read."""
    if what == "read" and channel.kind != "whatsapp":
        return None
    status = "undelivered" if what == "failed" else what
    sid = taken.provider_message_id
    fields = {
        "MessageSid": sid,
        "SmsSid": sid,
        "AccountSid": channel.keys.account_sid,
        "MessageStatus": status,
        "SmsStatus": status,
        "To": taken.recipient,
        "ApiVersion": "2010-04-01",
    }
    if what == "failed":
        fields["ErrorCode"] = "30005"
    return _webhook(channel, urlsplit(taken.reference).query, fields)


def _webhook(channel: Channel, query: str, fields: dict[str, str]) -> Webhook:
    url = channel.keys.public_url + (f"?{query}" if query else "")
    signature = signature_of(channel.keys.auth_token, url, {name: [value] for name, value in fields.items()})
    headers = {"content-type": _FORM, "x-twilio-signature": signature.decode()}
    return Webhook("POST", query, headers, urlencode(fields).encode())


def _error(status: int, code: int, words: str) -> Answer:
    more = f"https://www.twilio.com/docs/errors/{code}"
    return json_answer(status, {"code": code, "message": words, "more_info": more, "status": status})


PLAYED: Final = Played(
    take=take,
    say=say,
    report=report,
    faults={
        "throttled": _error(429, 20429, "Too Many Requests"),
        "broken": _error(500, 20500, "Internal Server Error"),
        "stopped": _error(400, 21610, "Attempt to send to unsubscribed recipient"),
        "refused": _error(400, 21211, "Invalid 'To' Phone Number"),
    },
)
