"""Metrics of receivers."""

from typing import Final

from workers.process.metrics.kinds import Section

RECEIVERS: Final = Section("Receivers", "For the providers of the channels that the process serves.")
WEBHOOKS: Final = RECEIVERS.counter(
    "sluice_webhooks_total",
    "webhooks and mails by what became of them: `acknowledged` (200, 250), `forbidden` (403), `unavailable` (503, 451: "
    "Kafka did not acknowledge); refused before they were read: `busy` (503, 452: too many bytes at once), `too_large` "
    "(413, 552), `slow` (408), `encoded` (415)",
    "provider",
    "answer",
    alert="`unavailable`, `busy`: an increase that goes on; `forbidden`: an increase after a secret was changed; "
    "`encoded`: any, the proxy is wrong; no `acknowledged` for a time that is unusual for you",
)
WEBHOOK_RECORDS: Final = RECEIVERS.counter(
    "sluice_webhook_records_total", "records made of webhooks, repeats included", "provider", "topic"
)
IGNORED: Final = RECEIVERS.counter(
    "sluice_webhook_events_ignored_total",
    "events that mean nothing to Sluice, by the provider's word for them; `another account` has no entry in the "
    "channels file. A type is counted from its first event on; after 200 types the others are `other`",
    "provider",
    "type",
    alert="`another account`, if you did not expect it",
)
NOT_UNDERSTOOD: Final = RECEIVERS.counter(
    "sluice_webhooks_unmapped_total",
    "webhooks with an event that was not understood: they are on `webhooks.unmapped`",
    "provider",
    alert="any increase: [what to do](operations.md#what-was-not-understood)",
)
WEBHOOK_SECONDS: Final = RECEIVERS.histogram(
    "sluice_webhook_seconds",
    "from a whole webhook to its answer",
    "provider",
    alert="above 2.5: providers want an answer within some seconds",
)

ANSWERS: Final = ("acknowledged", "forbidden", "unavailable", "busy", "too_large", "slow", "encoded")
"""What becomes of a webhook or mail. The last four are refused before anybody has judged their signature."""
ANOTHER_ACCOUNT: Final = "another account"
"""The type of events about an account that the channels file does not have."""
