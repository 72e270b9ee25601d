"""A rehearsal: the whole daemon against an exchange on this machine, in the place of Kite.

The configuration stays as it is; what differs is laid over it for one run. Only addresses of this machine are
taken, so that no order of a rehearsal can reach Zerodha.
"""

import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alphapanda.addresses import is_loopback
from alphapanda.errors import CannotStart

if TYPE_CHECKING:
    from alphapanda.config import Loaded

Rehearsal = Annotated[
    bool, typer.Option("--rehearsal", help="Rehearse: start an exchange on this machine and trade there.")
]
RehearsalUrl = Annotated[
    str | None,
    typer.Option("--rehearsal-url", help="Rehearse at the `alphapanda exchange` that runs there."),
]

END_S = 5.0
QUIET_S = 0.5
"""In the place of zerodha.quiet_period_s: an exchange on this machine shows an order at once or never, but
where a fault script has it show one late."""
PAPER, ZERODHA = "paper", "zerodha"


def checked(url: str) -> str:
    """The address, or a usage error: it must be of this machine."""
    if not is_loopback(url) or not url.startswith("http"):
        raise typer.BadParameter(
            f"{url!r} is no address of this machine such as http://127.0.0.1:8686",
            param_hint="--rehearsal-url",
        )
    return url.rstrip("/")


def overrides(url: str, access_token: str = "") -> dict[str, Any]:
    """What a rehearsal lays over the configuration."""
    from alphapanda.venues.zerodha.roots import REHEARSAL_KEY, REHEARSAL_SECRET, roots_at

    roots = roots_at(url)
    return {
        "feed.source": ZERODHA,
        "zerodha.enabled": True,
        "zerodha.api_root": roots.api,
        "zerodha.ws_root": roots.ticker,
        "zerodha.login_root": roots.login,
        "zerodha.api_key": REHEARSAL_KEY,
        "zerodha.api_secret": REHEARSAL_SECRET,
        "zerodha.access_token": access_token,
    }


def instead_of_paper(values: dict[str, Any]) -> None:
    """A configuration without zerodha rehearses with it in the place of paper; any other stays as it is."""
    if ZERODHA in values.setdefault("active_brokers", [PAPER]):
        return
    values["active_brokers"] = _swapped(values["active_brokers"])
    for strategy in values.get("strategies", ()):
        if isinstance(strategy, dict):
            strategy["brokers"] = _swapped(strategy.get("brokers", [PAPER]))


def _swapped(brokers: Any) -> Any:
    if not isinstance(brokers, list | tuple):
        return brokers  # a mistake that the loader names
    return [ZERODHA if name == PAPER else name for name in brokers]


def quick(loaded: "Loaded") -> dict[str, Any]:
    """The quiet period of a rehearsal, unless somebody has said another than the usual one, or said it for
    this run: orders that a fault script shows late need it.
    """
    from alphapanda.config.settings import Zerodha

    key = "zerodha.quiet_period_s"
    said = loaded.origins[key].startswith(("environment", "credential"))
    usual = loaded.settings.zerodha.quiet_period_s == Zerodha().quiet_period_s
    return {key: QUIET_S} if usual and not said else {}


@contextmanager
def exchange(words: list[str], say: Callable[[str], None]) -> Iterator[tuple[str, str]]:
    """(address, access token) of an exchange that runs as our child, and ends with us however we end."""
    token = secrets.token_hex(16)
    command = [sys.executable, "-m", "alphapanda", "exchange", "--port", "0", "--ends-with-input"]
    command += ["--access-token", token, *words]
    with subprocess.Popen(  # noqa: S603 - ourselves
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as child:
        try:
            line = child.stdout.readline().decode() if child.stdout is not None else ""
            if not line.startswith("ready "):
                raise CannotStart("the exchange of the rehearsal did not start; see the lines above")
            say(f"rehearsal: the exchange is at {line.removeprefix('ready ').strip()}")
            yield line.removeprefix("ready ").strip(), token
        finally:
            if child.stdin is not None:
                child.stdin.close()
            try:
                child.wait(END_S)
            except subprocess.TimeoutExpired:
                child.kill()


def mode_of(loaded: "Loaded") -> str:
    """As every line of the log has it; nothing for paper."""
    from alphapanda.config import Mode, mode_of

    found = mode_of(loaded.settings)
    return "" if found is Mode.PAPER else found.value
