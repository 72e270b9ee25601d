"""The options that many commands take, so that they are named and explained alike."""

from typing import Annotated, Any

import typer

DAY: Any = {"formats": ["%Y-%m-%d"], "metavar": "YYYY-MM-DD"}
"""How every option that takes a day reads it."""

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, nothing else.")]
