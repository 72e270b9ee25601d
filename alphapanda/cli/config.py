"""`alphapanda config init|check|show`: parse, call, print. What is right or wrong is decided in `config/`."""

import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alphapanda.cli.context import context_of
from alphapanda.cli.options import Json
from alphapanda.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from alphapanda.config import Loaded

app = typer.Typer(
    help="Look at, check and write the configuration.",
    epilog="Example: alphapanda config check",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command()
def init(
    path: Annotated[Path, typer.Argument(help="The file to write.")] = Path("config.toml"),
    *,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Write a config.toml: every key, its default, its meaning.

    Example: alphapanda config init /etc/alphapanda/config.toml
    """
    from alphapanda.config import ConfigError, render

    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(render())
    except FileExistsError:
        raise ConfigError(f"{path} exists already; name another file or replace it with --force") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}; name another file") from None
    say(f"Wrote {path}. Next: alphapanda config check")


@app.command()
def check(ctx: typer.Context, *, as_json: Json = False) -> None:
    """Say whether the configuration is right.

    Keys, values, contradictions, strategy classes and their parameters.

    Example: alphapanda --env production config check
    """
    from alphapanda.plan import check_strategies

    loaded = context_of(ctx).load(credentials=True)
    with redirect_stdout(sys.stderr):  # what a strategy prints when it is imported
        check_strategies(loaded)
    files = [str(path) for path in loaded.files]
    brokers = list(loaded.settings.active_brokers)
    strategies = [entry.id for entry in loaded.settings.strategies if entry.enabled]
    if as_json:
        print_json({"ok": True, "files": files, "brokers": brokers, "strategies": strategies})
    else:
        say(f"No mistakes in {' and '.join(files)}.")
        say(f"Brokers: {_text(brokers)}. Strategies: {_text(strategies) or 'none'}.")


@app.command()
def show(ctx: typer.Context, *, as_json: Json = False) -> None:
    """Print every key, its value and where that came from.

    Secrets are masked.

    Example: alphapanda config show --json
    """
    loaded = context_of(ctx).load()
    if as_json:
        keys = {name: {"value": value, "origin": origin} for name, value, origin in loaded.rows()}
        files = [str(path) for path in loaded.files]
        print_json(_numbers({"folder": str(loaded.folder), "files": files, "keys": keys}))
    else:
        _print_table(loaded)


def _numbers(document: dict[str, Any]) -> Any:
    """The document as JSON in which money is a number."""
    import msgspec

    return msgspec.Raw(msgspec.json.Encoder(decimal_format="number").encode(document))


def _print_table(loaded: "Loaded") -> None:
    """An origin is named by its kind; --json has the variable or credential."""
    rows = [(key, origin.split(" ")[0], value) for key, value, origin in _lines(loaded)]
    print_table("Configuration", ["key", "from", "value"], rows, whole=("key", "from"), below="value")


def _lines(loaded: "Loaded") -> Iterator[tuple[str, str, str]]:
    """The rows of the table: as `loaded.rows()`, with each key of each strategy on a line of its own."""
    for name, value, origin in loaded.rows():
        if name in ("strategies", "risk.overrides", "calendar.sessions") and value:
            for index, entry in enumerate(value):
                for key, inner in entry.__rich_repr__():
                    yield f"{name}[{index}].{key}", _text(inner), origin
        else:
            yield name, _text(value), origin


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return ", ".join(f"{name} = {_text(inner)}" for name, inner in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_text, value))
    return str(value)
