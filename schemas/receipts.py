"""The topic `messages.receipts`: what a provider reported about a send."""

from typing import TYPE_CHECKING, Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct
from msgspec.structs import force_setattr

from schemas import limits
from schemas.fields import ChannelId, Moment, Name, ProviderMessageId, Text, WorkspaceId, settle_moments

ReceiptStatus = Literal["sent", "delivered", "read", "failed", "ambiguous"]

_INT4 = 2**31 - 1


if TYPE_CHECKING:
    _BoolOrNull = bool
else:
    _BoolOrNull = bool | None  # null is absent: only the decoder sees it


class ReceiptError(Struct, frozen=True, kw_only=True, gc=False):
    """Why an attempt failed, in the provider's words. A numeric `code` reads as text. `retry_after_s`: how long the
    provider wants to be left alone, in seconds from the receipt's `at`.
    """

    code: Name | Annotated[int, Meta(ge=-limits.MAX_COUNT, le=limits.MAX_COUNT)] | None = None
    message: Text | None = None
    permanent: _BoolOrNull = False
    retry_after_s: Annotated[float, Meta(ge=0, le=limits.MAX_COUNT)] | None = None

    def __post_init__(self) -> None:
        force_setattr(self, "permanent", bool(self.permanent))
        if isinstance(self.code, int):
            force_setattr(self, "code", str(self.code))


class DeliveryReceipt(Struct, frozen=True, kw_only=True, gc=False):
    """The fate of one attempt; without `attempt` the latest is meant. `at` is in UTC."""

    workspace_id: WorkspaceId
    channel_id: ChannelId
    send_id: UUID | None = None
    provider_message_id: ProviderMessageId | None = None
    attempt: Annotated[int, Meta(ge=1, le=_INT4)] | None = None
    status: ReceiptStatus
    at: Moment
    error: ReceiptError | None = None
    contact_stopped: bool | None = None

    def __post_init__(self) -> None:
        if self.send_id is None and self.provider_message_id is None:
            raise ValueError("Expected `send_id` or `provider_message_id`")
        settle_moments(self, "at")
