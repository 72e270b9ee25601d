"""The options that many commands take, so that they are named and explained alike."""

from typing import Annotated, Any

import typer

DAY: Any = {"formats": ["%Y-%m-%d"], "metavar": "YYYY-MM-DD"}
"""How every option that takes a day reads it."""

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, nothing else.")]

LONGEST_REASON = 200


def reason_of(said: str) -> str:
    """What `--reason` says, as one line that the journal can hold. "" where it says nothing."""
    return " ".join(said.encode(errors="replace").decode().split())[:LONGEST_REASON]


def needed_reason(said: str) -> str:
    """The same. Wrong usage where it says nothing."""
    if not (reason := reason_of(said)):
        raise typer.BadParameter("say why, in a few words", param_hint="--reason")
    return reason
