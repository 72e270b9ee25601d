"""What the shell offers after a Tab: names from the configuration; nothing when that cannot be read."""

import typer

from alphapanda.cli.context import Context
from alphapanda.errors import CannotStart


def strategies(ctx: typer.Context, incomplete: str) -> list[str]:
    return _starting(_names(ctx)[0], incomplete)


def brokers(ctx: typer.Context, incomplete: str) -> list[str]:
    return _starting(_names(ctx)[1], incomplete)


def limits(incomplete: str) -> list[str]:
    return _starting(limit_names(), incomplete)


def limit_names() -> list[str]:
    """The keys of [risk]."""
    from alphapanda.config import KEYS

    found = [name.removeprefix("risk.") for name in KEYS if name.startswith("risk.")]
    return [name for name in found if name != "overrides"]


def _names(ctx: typer.Context) -> tuple[list[str], list[str]]:
    """Ids of strategies, names of brokers. The root command has not run: its options are read from it."""
    said = ctx.find_root().params
    try:
        settings = Context(config=said.get("config"), env=said.get("env")).load().settings
    except CannotStart:
        return [], []
    return [entry.id for entry in settings.strategies], list(settings.active_brokers)


def _starting(names: list[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
