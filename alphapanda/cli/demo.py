"""demo: the whole daemon on one simulated session, and what came of it."""

import sys
import tempfile
from contextlib import ExitStack, redirect_stdout
from pathlib import Path
from shutil import rmtree
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alphapanda.cli.context import Context, context_of
from alphapanda.cli.output import print_json
from alphapanda.cli.run import speed_of
from alphapanda.errors import CannotStart, Fatal

if TYPE_CHECKING:
    from alphapanda.config import Loaded


def demo(
    ctx: typer.Context,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Other prices; the same seed makes the same trades.")
    ] = None,
    keep: Annotated[
        Path | None, typer.Option("--keep", help="A new folder for the store and its config, to look into.")
    ] = None,
    speed: Annotated[
        str, typer.Option("--speed", help="Times the clock, or max; as given, a session takes ten seconds.")
    ] = "2250",
    json: Annotated[
        bool, typer.Option("--json", help="Summary, portfolio, trades and orders as one document.")
    ] = False,
) -> None:
    """Trade a simulated session on paper, in seconds.

    The real daemon (feed, strategies, risk, execution, portfolio, store, control socket) walks one session of
    invented NSE prices, on the paper broker alone, in a store of its own. It trades the strategies of your
    configuration; without one, those of `alphapanda config init`.

    Example: alphapanda demo --seed 5
    """
    from alphapanda.cli.demo_results import document, print_results
    from alphapanda.cli.demo_view import watching

    pace = speed_of(speed)
    with ExitStack() as stack:
        folder = _folder(keep, stack)
        try:
            loaded = _loaded(context_of(ctx), folder, seed)
            with watching(loaded.settings.feed.simulated.seed) as view:
                started = perf_counter()
                with redirect_stdout(sys.stderr):  # what a strategy prints
                    code, status = _trade(loaded, pace, view)
                elapsed = perf_counter() - started
        except CannotStart:
            if keep is not None:  # it was made just now, and the next try may want its name
                rmtree(folder, ignore_errors=True)
            raise
        found = document(loaded, status, elapsed)
    if json:
        print_json(found)
    else:
        configured = loaded.folder != folder
        print_results(found, keep, context_of(ctx).command if configured else None)
    sys.exit(code)


def _folder(keep: Path | None, stack: ExitStack) -> Path:
    if keep is None:
        return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="alphapanda-demo-")))
    try:
        keep.mkdir(parents=True)
    except FileExistsError:
        raise typer.BadParameter(f"{keep} exists already; name a new folder", param_hint="--keep") from None
    except OSError as error:
        raise typer.BadParameter(f"{keep} cannot be made: {error.strerror}", param_hint="--keep") from None
    return keep.absolute()


def _loaded(context: Context, folder: Path, seed: int | None) -> "Loaded":
    """The user's configuration, but invented prices, paper, and files that touch no other daemon's."""
    from dataclasses import replace

    from alphapanda.config import NoConfiguration, render

    overrides: dict[str, Any] = {
        "active_brokers": ["paper"],
        "paper_trading.enabled": True,
        "feed.source": "simulated",
        "storage.path": str(folder / "alphapanda.db"),
        "control.socket": str(folder / "control.sock"),
        "control.kill_file": str(folder / "KILL"),
        "control.group": "",
        "logging.level": "WARNING",
        "logging.file_enabled": False,
        "alerts.urls": [],
    }
    if seed is not None:
        overrides["feed.simulated.seed"] = seed
    file = folder / "config.toml"
    try:
        loaded = context.load(overrides, _on_paper)
        if loaded.settings.redis.enabled and _beside_a_daemon(context, overrides):
            loaded = context.load(overrides | {"redis.enabled": False}, _on_paper)
    except NoConfiguration:
        file.write_text(render(), encoding="utf-8")
        loaded = replace(context, config=file).load(overrides, _on_paper)
    file.write_text(render(loaded.settings), encoding="utf-8")
    return loaded


def _beside_a_daemon(context: Context, overrides: dict[str, Any]) -> bool:
    """Does a daemon run on the user's own store? Then what is in Redis is not for a demo to change."""
    from alphapanda.store import lock

    own = {key: value for key, value in overrides.items() if not key.startswith(("storage.", "control."))}
    try:
        pid = lock.holder(Path(context.load(own, _on_paper).settings.storage.path))
    except Fatal:  # another user's store, which nobody else may look at
        pid = 0
    if pid is not None:
        sys.stderr.write("Redis is left to the daemon of this configuration.\n")
    return pid is not None


def _on_paper(values: dict[str, Any]) -> None:
    """No strategy may name a broker with real money."""
    strategies = values.get("strategies")
    for entry in strategies if isinstance(strategies, list) else ():
        if isinstance(entry, dict):
            entry["brokers"] = ["paper"]


def _trade(loaded: "Loaded", pace: float | None, view: Any) -> tuple[int, dict[str, Any]]:
    """Run the daemon to the end of the session; its exit code and its last status."""
    import anyio

    from alphapanda.live.daemon import Daemon
    from alphapanda.live.logs import start_logging
    from alphapanda.live.options import Options

    start_logging(loaded.settings.logging, view.write)

    def watch(fraction: float, _row: int, time_ns: int) -> None:
        view.show(fraction, time_ns, daemon.status())

    daemon = Daemon(loaded, Options(speed=pace, until_end=True, watch=watch))
    code = anyio.run(daemon.run)
    return code, daemon.status()
