"""What the simulator does alike for Messenger and Instagram."""

from typing import Any, Final, NamedTuple

from connectors.provider import Answer, Channel, Webhook
from connectors.simulator.meta import asked, error, missing, signed
from connectors.simulator.played import ApiRequest, Fault, Said, Taken, json_answer

FAULTS: Final[dict[Fault, Answer]] = {
    "throttled": error(400, 613, "(#613) Calls to this api have exceeded the rate limit."),
    "broken": error(500, 2, "An unexpected error has occurred. Please retry your request later."),
    "stopped": error(403, 10, "(#10) This person isn't receiving messages from you right now.", error_subcode=2018108),
    "refused": error(403, 10, "(#10) This message is sent outside of allowed window.", error_subcode=2018278),
}


class Place(NamedTuple):
    """Where a webhook comes from: the account and the `object`."""

    account: str
    about: str


def take(channel: Channel, request: ApiRequest, number: int, longest: int) -> Taken | Answer:
    """Takes `POST /me/messages`, with a text of at most `longest` bytes in UTF-8."""
    body = asked(channel, request, "/me/messages")
    if isinstance(body, Answer):
        return body
    recipient = str(body.get("recipient", {}).get("id", ""))
    message = body.get("message", {})
    text = message.get("text", "")
    if not recipient:
        return missing("recipient")
    if bool(text) == bool(message.get("attachment")):
        return error(400, 100, "(#100) Exactly one of text and attachment must be given")
    if len(text.encode()) > longest:
        return error(400, 100, f"(#100) Length of param message[text] must be less than or equal to {longest}")
    if not recipient.isdecimal():
        return error(400, 100, "(#100) No matching user found", error_subcode=2018001)
    id_ = f"m_{number:08d}"
    answer = json_answer(200, {"recipient_id": recipient, "message_id": id_})
    return Taken(recipient, text, id_, answer, message.get("metadata", ""))


def say(channel: Channel, place: Place, said: Said) -> Webhook:
    """A webhook with a text."""
    at = int(said.at.timestamp() * 1000)
    return event(channel, place, said.sender, at, {"message": {"mid": f"m_in{said.number:08d}", "text": said.text}})


def event(channel: Channel, place: Place, person: str, at: int, what: dict[str, Any]) -> Webhook:
    """A webhook with one event of a person, at `at` in milliseconds."""
    envelope = {"sender": {"id": person}, "recipient": {"id": place.account}, "timestamp": at}
    return signed(channel, place.about, {"id": place.account, "time": at, "messaging": [envelope | what]})
