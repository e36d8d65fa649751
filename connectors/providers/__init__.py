"""The providers: one module each, which holds all that Sluice knows of it."""

from typing import Final

from connectors.provider import Provider
from connectors.providers import custom, line, mailgun, smtp, telegram, twilio, viber

_ALL: Final = (
    telegram.PROVIDER,
    twilio.PROVIDER,
    line.PROVIDER,
    viber.PROVIDER,
    mailgun.PROVIDER,
    smtp.PROVIDER,
    custom.PROVIDER,
)
PROVIDERS: Final[dict[str, Provider]] = {provider.name: provider for provider in _ALL}
