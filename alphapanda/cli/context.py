"""What the global options say, for every command."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from alphapanda.config import Loaded, Mode


@dataclass(frozen=True)
class Context:
    config: Path | None
    env: str | None

    @property
    def command(self) -> str:
        """`alphapanda` with what its caller has said, for the shell, from any folder."""
        config = ["--config", str(self.config.absolute())] if self.config else []
        return shlex.join(["alphapanda", *config, *(["--env", self.env] if self.env else [])])

    def load(
        self,
        overrides: dict[str, Any] | None = None,
        revise: Callable[[dict[str, Any]], None] | None = None,
        *,
        credentials: bool = False,
    ) -> "Loaded":
        """`credentials`: they must be there. On a server only the daemon has them, and not who reads."""
        from alphapanda.config import load
        from alphapanda.config.redaction import learn, learn_surroundings

        learn_surroundings()
        loaded = load(self.config, env=self.env, overrides=overrides, revise=revise, credentials=credentials)
        learn(loaded.settings)
        return loaded


def context_of(ctx: typer.Context) -> Context:
    found = ctx.find_root().obj
    return found if isinstance(found, Context) else Context(config=None, env=None)


def store_of(ctx: typer.Context) -> Path:
    """The store; what is printed from it says whose money it is."""
    store = Path(context_of(ctx).load().settings.storage.path)
    say_mode(store)
    return store


def say_mode(store: Path) -> None:
    """At the head of what is printed next. A store that this user cannot read says nothing here."""
    from alphapanda.cli.output import MODE
    from alphapanda.errors import Fatal

    try:
        mode = store_mode(store)
    except (OSError, Fatal):
        return
    if mode is not None:
        MODE[:] = [mode.value]


def store_mode(store: Path) -> "Mode | None":
    """Whose money the book is about; None where it is the house's own."""
    from alphapanda.config import Mode
    from alphapanda.events import REHEARSAL
    from alphapanda.store import offline

    owners = [owner for owner in offline.accounts(store).values() if owner]
    if not owners:
        return None
    return Mode.REHEARSAL if any(owner.startswith(REHEARSAL) for owner in owners) else Mode.LIVE
