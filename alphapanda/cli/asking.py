"""A question before what is dangerous, where somebody sits at a terminal."""

import sys

import typer

from alphapanda.cli.output import cleaned, fitted

NOT_DONE = 1


def ask(question: str) -> None:
    """Leaves with exit code 1 unless the answer is yes."""
    try:
        asked = fitted(cleaned(f"{question} [y/N]:"), sys.stderr)
        sure = typer.confirm(asked, show_default=False, prompt_suffix=" ", err=True)
    except typer.Abort:
        sure = False
    if not sure:
        typer.echo("Nothing was done.", err=True)
        raise typer.Exit(NOT_DONE)
