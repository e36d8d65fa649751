"""A command as this room handles it: the record it came in and its place in the batch."""

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from schemas.commands import Command, InvalidCommand
from workers.rules.event_time import trusted
from workers.rules.registers import Stamp
from workers.runtime.batch import Record
from workers.store.commands import CommandKey

C_co = TypeVar("C_co", bound=Command | InvalidCommand, covariant=True)


@dataclass(frozen=True, slots=True)
class Asked(Generic[C_co]):
    """`position` counts the records of the batch: of two commands with one key the smaller one was given first."""

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
        """None: it could not be read."""
        claimed = self.command.issued_at
        return None if claimed is None else trusted(claimed, self.record.timestamp)

    @property
    def stamp(self) -> Stamp:
        """What a command writes with. One without a readable time writes nothing: it is invalid."""
        at = self.issued_at
        if at is None:
            raise ValueError("a command without a time of issue cannot write")
        return Stamp(at, self.command.command_id)
