"""The providers: one module each, which holds all that Sluice knows of it."""

from typing import Final

from connectors.provider import Provider
from connectors.providers import (
    custom,
    instagram,
    line,
    mailgun,
    messenger,
    smtp,
    telegram,
    twilio,
    viber,
    whatsapp_cloud,
)

_ALL: Final = (
    whatsapp_cloud.PROVIDER,
    messenger.PROVIDER,
    instagram.PROVIDER,
    telegram.PROVIDER,
    twilio.PROVIDER,
    line.PROVIDER,
    viber.PROVIDER,
    mailgun.PROVIDER,
    smtp.PROVIDER,
    custom.PROVIDER,
)
PROVIDERS: Final[dict[str, Provider]] = {provider.name: provider for provider in _ALL}
