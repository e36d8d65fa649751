"""Whatever a webhook, a send or an answer holds: a provider's functions return, and what they say can travel."""

import json
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.provider import Answer, Call, Mail, Outcome, Unsendable, Webhook
from connectors.providers import PROVIDERS
from connectors.understanding import Understanding
from tests.connectors.test_vectors import body_of, dispatch
from tests.connectors.vectors import FILES, channel_of

NOW: Final = datetime(2026, 12, 1, 10, tzinfo=UTC)
TEXT: Final = st.text(st.characters(exclude_categories=()), max_size=20)
SCALARS: Final = (
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | TEXT | st.just("\ud83d")
)
JSON: Final = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=8
)
every_provider = pytest.mark.parametrize("provider", sorted(PROVIDERS))


@st.composite
def mangled(draw: st.DrawFn, whole: Any) -> Any:
    """A payload with one value replaced, removed or repeated."""
    if isinstance(whole, dict) and whole and draw(st.integers(0, 9)):
        name = draw(st.sampled_from(sorted(whole)))
        if draw(st.integers(0, 5)) == 0:
            return {key: value for key, value in whole.items() if key != name}
        return whole | {name: draw(mangled(whole[name]))}
    if isinstance(whole, list) and whole and draw(st.integers(0, 9)):
        at = draw(st.integers(0, len(whole) - 1))
        return [*whole[:at], draw(mangled(whole[at])), *whole[at:]]
    return draw(JSON)


@st.composite
def webhooks(draw: st.DrawFn, provider: str) -> Webhook:
    case = draw(st.sampled_from(FILES[provider]["webhooks"]))
    query, headers, body = case.get("query", ""), case.get("headers", {}), body_of(case)
    if isinstance(case.get("body"), dict):
        body = json.dumps(draw(mangled(case["body"]))).encode()
    else:
        start = draw(st.integers(0, len(body)))
        body = body[:start] + draw(st.binary(max_size=8)) + body[draw(st.integers(start, len(body))) :]
    return Webhook("POST", query, headers, draw(st.just(body) | JSON.map(lambda any_: json.dumps(any_).encode())))


@every_provider
@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_any_webhook_is_understood_ignored_or_named_as_not_understood(provider: str, data: st.DataObject) -> None:
    channel, found = channel_of(provider), Understanding()
    channel.provider.understand(channel, data.draw(webhooks(provider)), found, NOW)

    assert found.records or found.ignored or found.errors or found.accounts
    assert all(error.isprintable() for error in found.errors)
    "".join(found.ignored).encode()  # they are labels of metrics


@every_provider
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_any_request_of_a_stranger_is_judged(provider: str, data: st.DataObject) -> None:
    case = data.draw(st.sampled_from(FILES[provider]["signatures"]))
    of_a_header = st.text(st.characters(max_codepoint=255), max_size=40)
    headers = {name: data.draw(st.just(text) | of_a_header) for name, text in case.get("headers", {}).items()}
    query = data.draw(st.just(case.get("query", "")) | of_a_header)
    body = data.draw(st.just(body_of(case)) | st.binary(max_size=40))
    channel = channel_of(provider, **case.get("channel", {}))

    assert channel.provider.verify(channel, Webhook("POST", query, headers, body), NOW) in (True, False)


@every_provider
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_any_send_becomes_a_call_or_a_reason(provider: str, data: st.DataObject) -> None:
    files = st.fixed_dictionaries(
        {"kind": st.sampled_from(["image", "video", "audio", "file", "other"]), "url": st.text(max_size=20)},
        optional={"name": TEXT_THAT_TRAVELS, "mime_type": TEXT_THAT_TRAVELS, "size": st.integers(0, 2**40)},
    )
    content = data.draw(
        st.fixed_dictionaries(
            {"type": st.sampled_from(["text", "image", "file", "location", "other"])},
            optional={
                "text": TEXT_THAT_TRAVELS,
                "html": TEXT_THAT_TRAVELS,
                "subject": TEXT_THAT_TRAVELS,
                "reply_to": st.text(min_size=1, max_size=20),
                "attachments": st.lists(files, max_size=3),
                "template": st.fixed_dictionaries(
                    {"name": st.text(min_size=1, max_size=9), "language": st.just("en")},
                    optional={"parameters": st.lists(JSON, max_size=3) | st.dictionaries(TEXT, JSON, max_size=3)},
                ),
            },
        )
    )
    channel = channel_of(provider)
    send = dispatch(provider, {"address": data.draw(st.text(min_size=1, max_size=30)), "content": content})

    assert isinstance(channel.provider.request(channel, send), Call | Mail | Unsendable)


TEXT_THAT_TRAVELS: Final = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@every_provider
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_any_answer_has_an_outcome(provider: str, data: st.DataObject) -> None:
    channel = channel_of(provider)
    case = data.draw(st.sampled_from(FILES[provider]["answers"]))
    body = case["body"] if isinstance(case.get("body"), dict) else {}
    answer = Answer(
        data.draw(st.sampled_from([200, 201, 202, 250, 400, 401, 403, 404, 409, 421, 429, 451, 500, 503, 550])),
        data.draw(st.just({}) | st.just({"retry-after": "soon"}) | st.just(case.get("headers", {}))),
        json.dumps(data.draw(mangled(body))).encode() if data.draw(st.booleans()) else data.draw(st.binary(max_size=9)),
    )
    outcome = channel.provider.outcome(channel, answer)

    assert isinstance(outcome, Outcome)
    assert outcome.status != "sent" or outcome.provider_message_id
