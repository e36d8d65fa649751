"""Who asks: a user of the console, or a token of the API."""

from collections.abc import Sequence
from dataclasses import dataclass

from schemas.actors import Actor, Module, Restriction
from schemas.fields import Role
from workers.rules.permissions import forbids


@dataclass(frozen=True, slots=True)
class Person:
    """A user or token. `name` is the actor of its commands; `restrictions` bind managers. Operators see all
    workspaces.
    """

    name: str
    role: Role
    workspaces: Sequence[str]
    restrictions: Sequence[Restriction] = ()
    is_operator: bool = False

    def sees(self, workspace_id: str) -> bool:
        """Whether the workspace exists for this person."""
        return self.is_operator or workspace_id in self.workspaces

    def actor(self, module: Module) -> Actor:
        """The actor of a command that the person gives in a module."""
        return Actor(id=self.name, role=self.role, restrictions=tuple(self.restrictions) or None, module=module)

    def may(self, command: str, module: Module) -> bool:
        """Whether the person's role allows the command in the module."""
        return forbids(command, self.actor(module)) is None
