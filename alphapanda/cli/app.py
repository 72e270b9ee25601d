"""The root command: global options, the list of commands, and how errors end."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

import alphapanda
from alphapanda.cli import (
    backtest,
    book,
    close,
    demo,
    kill_switch,
    run,
    service,
    stages,
    status,
    stop,
    strategies,
    why,
)
from alphapanda.cli import config as config_command
from alphapanda.cli.context import Context
from alphapanda.cli.last_words import install, say_last, without_secrets
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
app.add_typer(strategies.app, name="strategies")
app.add_typer(stages.app, name="stages")
app.add_typer(config_command.app, name="config")


def main() -> NoReturn:
    """Run the command; every error is one line on stderr and an exit code that systemd understands."""
    install()
    try:
        code = app(standalone_mode=False)
    except UsageError as error:
        _leave_with_usage(error)
    except CannotStart as error:
        _leave(error, CANNOT_START)
    except NotRunning as error:
        _leave(error, NOT_RUNNING)
    except BrokenPipeError:
        # Whoever read our output has left; nothing more to say, and nothing to flush at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(0)
    except Exception as error:
        if os.environ.get("ALPHAPANDA_TRACEBACK"):
            install()  # typer has put its own hook in the place of ours, and that one prints everything
            raise
        _leave(error, GAVE_UP)
    sys.exit(code or 0)


def _leave_with_usage(error: UsageError) -> NoReturn:
    message = error.format_message().rstrip(".")
    if type(error).__name__ == "NoArgsIsHelpError":  # a bare `alphapanda` or group: the help is the answer
        error.show()
        sys.exit(error.exit_code)
    command = error.ctx.command_path if error.ctx is not None else "alphapanda"
    _leave(f"{message}; help: {command} -h", error.exit_code)


def _leave(error: Exception | str, code: int) -> NoReturn:
    house = isinstance(error, str) or type(error).__module__.startswith("alphapanda")
    whole = without_secrets(f"{'' if house else f'{type(error).__name__}: '}{error}")
    say_last(f"alphapanda: {' '.join(whole.split())}")
    sys.exit(code)
