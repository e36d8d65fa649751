"""The simulator and the provider of a name agree: what one of them makes, the other one understands."""

import json
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

import pytest

from connectors.provider import Answer, Call, Channel, Mail, Webhook
from connectors.providers import PROVIDERS
from connectors.simulator.played import ApiRequest, Played, Report, Said, Taken, played
from connectors.understanding import Understanding
from tests.connectors.test_vectors import SEND_ID, dispatch
from tests.connectors.vectors import channel_of

NOW: Final = datetime(2026, 12, 1, 10, tzinfo=UTC)
PEOPLE: Final = {
    "whatsapp_cloud": "16505551234",
    "messenger": "1254477777772919",
    "instagram": "1254477777772919",
    "telegram": "1111111",
    "twilio": "+15558675310",
    "mailgun": "ada@byron.example",
    "smtp": "ada@byron.example",
    "custom": "ada-1",
}
"""An address of each provider, where another one would be refused."""
FAULTS: Final[dict[str, dict[str, object]]] = {
    "throttled": {"status": "throttled"},
    "broken": {"status": "ambiguous"},
    "stopped": {"status": "failed", "permanent": True, "contact_stopped": True},
    "refused": {"status": "failed", "permanent": True, "contact_stopped": False},
}
SILENT: Final = {
    "telegram": {"delivered", "failed"},
    "line": {"delivered", "failed"},
    "messenger": {"failed"},
    "instagram": {"delivered", "failed"},
}
"""What they never report of a message that they took."""
by_http: Final = pytest.mark.parametrize("name", sorted(name for name in PROVIDERS if name != "smtp"))
every_name: Final = pytest.mark.parametrize("name", sorted(PROVIDERS))


def person_of(name: str) -> str:
    return PEOPLE.get(name, "person-1")


def sent_to(name: str, channel: Channel, attempt: int = 1, **replaced: Any) -> ApiRequest:
    """The request that an attempt of `Hello` makes, as the simulator sees it."""
    told = {"address": person_of(name), "attempt": attempt, "content": {"type": "text", "text": "Hello"}}
    call = channel.provider.request(channel, dispatch(name, told))
    if isinstance(call, Mail):
        envelope = {"x-envelope-from": call.sender, "x-envelope-to": call.recipient}
        return ApiRequest("MAIL", "/", "", envelope, call.message)
    assert isinstance(call, Call)
    call = channel.provider.sign(channel, call, NOW) if channel.provider.sign else call
    assert call.url.startswith(channel.base_url)
    parts = urlsplit(call.url.removeprefix(channel.base_url))
    whole = {"method": call.method, "path": parts.path, "query": parts.query, "headers": call.headers}
    return ApiRequest(**{**whole, "body": call.body, **replaced})


def taken_by(name: str) -> tuple[Channel, Played, Taken]:
    channel = channel_of(name)
    play = played(channel.provider)
    taken = play.take(channel, sent_to(name, channel), 7)
    assert isinstance(taken, Taken), taken
    return channel, play, taken


def understood(channel: Channel, webhook: Webhook) -> list[dict[str, Any]]:
    """The records of a webhook, which must be signed and say nothing else."""
    found = Understanding()
    assert channel.provider.verify(channel, webhook, NOW)
    channel.provider.understand(channel, webhook, found, NOW)
    assert [found.errors, dict(found.ignored), found.accounts] == [[], {}, set()]
    return [json.loads(record.value) for record in found.records]


@every_name
def test_a_send_is_taken_and_its_answer_means_sent(name: str) -> None:
    channel, _, taken = taken_by(name)
    outcome = channel.provider.outcome(channel, taken.answer)

    assert (taken.recipient, taken.text) == (person_of(name), "Hello")
    assert (outcome.status, outcome.provider_message_id) == ("sent", taken.provider_message_id)


@by_http
def test_a_send_without_its_secrets_is_not_taken(name: str) -> None:
    channel = channel_of(name)
    # Telegram has its secret in the path, and the others have theirs in headers.
    replaced: dict[str, Any] = {"path": "/bot1:x/sendMessage"} if name == "telegram" else {"headers": {}}
    answer = played(channel.provider).take(channel, sent_to(name, channel, **replaced), 7)

    assert isinstance(answer, Answer)
    outcome = channel.provider.outcome(channel, answer)
    assert (outcome.status, outcome.contact_stopped) == ("failed", False)
    assert outcome.permanent is (name == "custom")  # its contract makes every 4xx permanent


@every_name
def test_what_a_person_says_is_understood(name: str) -> None:
    channel = channel_of(name)
    webhook = played(channel.provider).say(channel, Said(person_of(name), "Good morning", "Ada", 8, NOW))
    [record] = understood(channel, webhook)

    assert record["content"]["text"] == "Good morning"
    assert record["sender"]["address"] == person_of(name)
    assert record["kind"] == "message"


@every_name
@pytest.mark.parametrize("what", ["delivered", "read", "failed"])
def test_a_report_names_the_message(name: str, what: Report) -> None:
    channel, play, taken = taken_by(name)
    webhook = play.report(channel, taken, what, NOW)
    if webhook is None:
        assert what == "read" or what in SILENT[name]
        return
    [record] = understood(channel, webhook)

    assert record["status"] == what
    assert taken.provider_message_id == record["provider_message_id"] or str(SEND_ID) == record["send_id"]
    assert (record["error"] is not None) is (what == "failed")


@by_http
def test_each_fault_means_what_it_is(name: str) -> None:
    channel = channel_of(name)
    faults = played(channel.provider).faults
    meant = {fault: channel.provider.outcome(channel, answer)._asdict() for fault, answer in faults.items()}

    assert {"throttled", "broken", "refused"} <= faults.keys()
    assert {fault: {field: meant[fault][field] for field in FAULTS[fault]} for fault in faults} == {
        fault: FAULTS[fault] for fault in faults
    }


@by_http
def test_two_messages_have_two_ids(name: str) -> None:
    channel, play, first = taken_by(name)
    second = play.take(channel, sent_to(name, channel, 2), 8)
    said = [play.say(channel, Said(person_of(name), "Hello", None, number, NOW)) for number in (9, 10)]
    ids = [record["provider_message_id"] for webhook in said for record in understood(channel, webhook)]

    assert isinstance(second, Taken)
    assert len({first.provider_message_id, second.provider_message_id, *ids}) == 4


@every_name
def test_a_provider_that_takes_a_call_once_knows_it_by_its_key(name: str) -> None:
    channel, play, taken = taken_by(name)
    assert (play.repeat is not None) is channel.provider.repeats
    if play.repeat is None:
        return
    once, again, next_ = (play.repeat.key(sent_to(name, channel, attempt)) for attempt in (1, 1, 2))
    outcome = channel.provider.outcome(channel, play.repeat.answer(taken))

    assert once == again != next_
    assert (outcome.status, outcome.provider_message_id) == ("sent", taken.provider_message_id)
