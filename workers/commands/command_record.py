"""A command with its record and its position in the batch."""

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from schemas.commands import Command, InvalidCommand
from workers.records import Record
from workers.rules.event_time import trusted
from workers.rules.last_write_wins import WriteStamp
from workers.store.commands import CommandKey

C_co = TypeVar("C_co", bound=Command | InvalidCommand, covariant=True)


@dataclass(frozen=True, slots=True)
class CommandRecord(Generic[C_co]):
    """`position` counts the records of the batch: of two commands with one key the smaller position came first."""

    position: int
    record: Record[C_co]

    @property
    def command(self) -> C_co:
        return self.record.value

    @property
    def key(self) -> CommandKey:
        return self.command.workspace_id, self.command.command_id

    @property
    def name(self) -> str:
        command: Command | InvalidCommand = self.command
        return command.command if isinstance(command, InvalidCommand) else str(command.__struct_config__.tag)

    @property
    def issued_at(self) -> datetime | None:
        """None if it could not be read."""
        claimed = self.command.issued_at
        return None if claimed is None else trusted(claimed, self.record.timestamp)

    @property
    def stamp(self) -> WriteStamp:
        """The write stamp of the command. A command without a readable time is invalid and writes nothing."""
        at = self.issued_at
        if at is None:
            raise ValueError("a command without a time of issue cannot write")
        return WriteStamp(at, self.command.command_id)
