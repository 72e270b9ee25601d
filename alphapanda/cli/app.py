"""The root command: global options, the list of commands, and how errors end."""

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

import alphapanda
from alphapanda.cli import (
    backtest,
    book,
    close,
    demo,
    exchange,
    fail_points,
    instruments,
    kill_switch,
    login,
    reconcile,
    risk,
    run,
    service,
    stages,
    status,
    stop,
    strategies,
    why,
)
from alphapanda.cli import calendar as calendar_command
from alphapanda.cli import config as config_command
from alphapanda.cli.context import Context
from alphapanda.cli.last_words import install, say_last, without_secrets
from alphapanda.cli.output import cleaned, fitted
from alphapanda.errors import CannotStart, NotRunning

GAVE_UP, CANNOT_START, NOT_RUNNING = 1, 3, 4

UsageError: Any = typer.BadParameter.__base__
"""What every wrong option or argument is; typer names only its children."""

app = typer.Typer(
    help="Trade Indian markets with your own strategies: paper or live, watched by risk limits.",
    epilog="Example: alphapanda demo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"alphapanda {alphapanda.__version__}")
        raise typer.Exit


@app.callback()
def root(
    ctx: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            help="Configuration file; else $ALPHAPANDA_CONFIG, ./config.toml, /etc/alphapanda/config.toml.",
        ),
    ] = None,
    env: Annotated[
        str | None, typer.Option("--env", help="Also read config.NAME.toml beside it; else $ALPHAPANDA_ENV.")
    ] = None,
    version: Annotated[  # noqa: ARG001 - handled by its callback
        bool, typer.Option("--version", help="Print the version and leave.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    ctx.obj = Context(config=config, env=env)


app.command("demo")(demo.demo)
app.command("run")(run.run)
app.command("start", context_settings=service.PASSED_ON)(service.start)
app.command("stop")(stop.stop)
app.command("restart", context_settings=service.PASSED_ON)(service.restart)
app.command("status")(status.status)
app.add_typer(kill_switch.app, name="kill-switch")
app.command("login")(login.login)
app.command("logout")(login.logout)
app.command("orders")(book.orders)
app.command("trades")(book.trades)
app.command("positions")(book.positions)
app.command("portfolio")(book.portfolio)
app.command("signals")(book.signals)
app.command("why")(why.why)
app.command("cancel-all")(close.cancel_all)
app.command("close")(close.close)
app.command("close-all")(close.close_all)
app.command("backtest")(backtest.backtest)
app.command("exchange")(exchange.exchange)
app.add_typer(strategies.app, name="strategies")
app.add_typer(risk.app, name="risk")
app.add_typer(reconcile.app, name="reconcile")
app.add_typer(stages.app, name="stages")
app.add_typer(instruments.app, name="instruments")
app.add_typer(calendar_command.app, name="calendar")
app.command("fail-points")(fail_points.fail_points)
app.add_typer(config_command.app, name="config")


def main() -> NoReturn:
    """Run the command; every error is one line on stderr and an exit code that systemd understands."""
    install()
    try:
        code = _done()
    except UsageError as error:
        _leave_with_usage(error)
    except CannotStart as error:
        _leave(error, CANNOT_START)
    except NotRunning as error:
        _leave(error, NOT_RUNNING)
    except BrokenPipeError:  # whoever read our output has left: nothing more to say
        _flush_nothing()
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(0)
    except Exception as error:
        if os.environ.get("ALPHAPANDA_TRACEBACK"):
            install()  # typer has put its own hook in the place of ours, and that one prints everything
            raise
        _leave(error, GAVE_UP)
    sys.exit(code)


def _done() -> int:
    """The exit code, once all that the command said is written: the end of Python would be too late."""
    try:
        code = app(standalone_mode=False)
    except SystemExit as leaving:
        if isinstance(leaving.__context__, BrokenPipeError):  # click has made an exit code 1 of it
            raise leaving.__context__ from None
        code = leaving.code
    _flush()
    return code or 0


def _flush() -> None:
    try:
        sys.stdout.flush()
    except OSError as error:
        _flush_nothing()
        if not isinstance(error, BrokenPipeError):
            raise


def _flush_nothing() -> None:
    """What is still to be written goes nowhere: Python would fail at it once more when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _leave_with_usage(error: UsageError) -> NoReturn:
    message = error.format_message().rstrip(".")
    if type(error).__name__ == "NoArgsIsHelpError":  # a bare `alphapanda` or group: the help is the answer
        error.show()
        sys.exit(error.exit_code)
    command = error.ctx.command_path if error.ctx is not None else _command_path(sys.argv[1:])
    _leave(f"{message}; help: {command} -h", error.exit_code)


def _command_path(words: list[str]) -> str:
    """The command that these words call, for what was wrong before it was called."""
    command, path = typer.main.get_command(app), ["alphapanda"]
    for word in words:
        if found := getattr(command, "commands", {}).get(word):
            command = found
            path.append(word)
    return " ".join(path)


def _leave(error: Exception | str, code: int) -> NoReturn:
    house = isinstance(error, str) or type(error).__module__.startswith("alphapanda")
    whole = without_secrets(f"{'' if house else f'{type(error).__name__}: '}{error}")
    with suppress(OSError):  # a disk that is full is not what went wrong first
        _flush()
    say_last(fitted(f"alphapanda: {cleaned(' '.join(whole.split()))}", sys.stderr))
    sys.exit(code)
