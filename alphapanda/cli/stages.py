"""stages: the daemon's supervised tasks, and starting one of them anew."""

from pathlib import Path
from typing import Annotated

import typer

from alphapanda.cli.context import context_of, say_mode
from alphapanda.cli.daemon import ask_daemon
from alphapanda.cli.options import Json
from alphapanda.cli.output import print_json, print_table, say

app = typer.Typer(
    help="The daemon's tasks: list them, restart one.",
    epilog="Example: alphapanda stages list",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command("list")
def list_(
    ctx: typer.Context,
    json: Json = False,
) -> None:
    """Every task with its state, restarts and queue.

    Example: alphapanda stages list
    """
    loaded = context_of(ctx).load()
    stages = ask_daemon(loaded, "status")["stages"]
    if json:
        print_json(stages)
        return
    say_mode(Path(loaded.settings.storage.path))
    print_table(
        "Stages",
        ["stage", "state", "restarts", "processed", "last progress s", "queue", "folded"],
        [
            (
                name,
                stage["state"],
                stage["restarts"],
                stage["processed"],
                stage["last_progress_s"],
                f"{stage['queue']['depth']}/{stage['queue']['capacity']}",
                stage["queue"]["folded"],
            )
            for name, stage in stages.items()
        ],
        numbers=("restarts", "processed", "last progress s", "queue", "folded"),
    )


@app.command("restart")
def restart(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A task that shares no state, or gave up.")],
) -> None:
    """Start one task anew, while all others go on.

    Stages of the line share their state: for those it is `alphapanda restart`. A live feed and zerodha,
    once they have failed too often, hold entries until this.

    Example: alphapanda stages restart feed
    """
    found = ask_daemon(context_of(ctx).load(), "stage_restart", stage=name)
    say(f"{found['stage']} is started anew (restart {found['restarts']})")
