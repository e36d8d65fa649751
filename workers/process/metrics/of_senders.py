"""Metrics of senders."""

from typing import Final, Literal

from workers.process.metrics.kinds import Section

SENDERS: Final = Section(
    "Senders",
    "For the providers of the channels that the process serves. The consumer group `PREFIX-send…` has no lag metric\n"
    "here: take Kafka's, and alert on growth.",
)
DISPATCHES: Final = SENDERS.counter(
    "sluice_dispatches_total",
    "records of `sends.dispatch`: `reported` (an attempt was made, and its receipt is acknowledged), `denied` (the "
    "claim), `claimed_before` (by an earlier life of a sender, and waited for), `other_channel` (of no channel that "
    "this process serves), `unreadable`",
    "outcome",
    alert="`unreadable`: any increase; `claimed_before`: any outside of crashes",
)
OPEN: Final = SENDERS.gauge(
    "sluice_dispatches_open",
    "records that are polled and not done, at most about 1,000 for each partition",
    alert="above 900 for minutes: a provider is slow, or the rate too low",
)
DENIED: Final = SENDERS.counter(
    "sluice_claims_denied_total",
    "attempts that may not be made: `already_claimed`, `superseded`, `not_dispatched`, `unknown_send`, or the reason "
    "of a rule, which is counted from its first time on",
    "reason",
    alert="`unknown_send`, `not_dispatched`: any increase, the database is another one or was restored",
)
CALLS: Final = SENDERS.counter(
    "sluice_provider_calls_total",
    "calls by outcome: `sent`, `failed`, `throttled`, `ambiguous`; a repeated call counts again",
    "provider",
    "outcome",
    alert="`ambiguous`: any increase; `failed`: its share; `throttled`: an increase that goes on",
)
PROVIDER_ANSWERS: Final = SENDERS.counter(
    "sluice_provider_answers_total",
    "answers of providers by their code: an HTTP status, or a reply code of SMTP; `none` without an answer",
    "provider",
    "code",
    alert="`none`, `5..`: an increase that goes on; `401`, `403`: any, a token is wrong",
)
CALL_SECONDS: Final = SENDERS.histogram(
    "sluice_provider_call_seconds",
    "how long a call takes, up to `timeout_s`",
    "provider",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0),
    alert="growth",
)

OUTCOMES: Final = ("sent", "failed", "throttled", "ambiguous")
"""Of calls."""
Done = Literal["reported", "denied", "claimed_before", "other_channel", "unreadable"]
"""What was done with a record of `sends.dispatch`."""
REASONS: Final = ("already_claimed", "superseded", "not_dispatched", "unknown_send")
"""Why a claim is denied that is about no rule. Reasons of rules are counted from the first one on."""
NO_ANSWER: Final = "none"
"""In place of the code of an answer."""
