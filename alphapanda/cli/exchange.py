"""exchange: the Kite-compatible exchange on localhost."""

import sys
from decimal import Decimal, InvalidOperation
from functools import partial
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from alphapanda.cli.run import Columns, SkipBadRows, data_overrides, speed_of

Port = Annotated[
    int, typer.Option("--port", min=0, max=65_535, help="Port on 127.0.0.1; 0 takes a free one.")
]
Seed = Annotated[int, typer.Option("--seed", help="What the prices and all chance are made from.")]
Speed = Annotated[str, typer.Option("--speed", help="Exchange seconds in a second, such as 60, or max.")]
Data = Annotated[
    list[Path] | None,
    typer.Option(
        "--data",
        help="Price files to replay (CSV, gzip CSV, Parquet): file, folder or quoted glob. May repeat.",
    ),
]
Script = Annotated[Path | None, typer.Option("--script", help="Fault script, TOML or JSON: see the README.")]
History = Annotated[
    Path | None,
    typer.Option("--history", help="File for everything seen and done, written anew, each line at once."),
]
AccessToken = Annotated[str | None, typer.Option("--access-token", help="Accept this token without a login.")]
Paused = Annotated[
    bool, typer.Option("--paused", help="The clock waits until POST /admin/clock lets it go on.")
]
Instruments = Annotated[
    int, typer.Option("--instruments", min=0, max=100_000, help="List at least so many instruments.")
]
TicksPerSecond = Annotated[
    int,
    typer.Option(
        "--ticks-per-second",
        min=0,
        max=100,
        help="Ticks of each instrument in an exchange second; 0: as lively as each is.",
    ),
]
Bursts = Annotated[bool, typer.Option("--bursts", help="Send a second's ticks at once.")]
Cash = Annotated[str, typer.Option("--cash", help="Rupees in the account.")]
NoDdpi = Annotated[
    bool, typer.Option("--no-ddpi", help="Holdings are sold only when they are authorised, else HTTP 428.")
]
RedirectUrl = Annotated[str, typer.Option("--redirect-url", help="Where the login page sends the browser.")]
NoRateLimits = Annotated[bool, typer.Option("--no-rate-limits", help="Never answer 429, for measuring load.")]
Certificate = Annotated[Path | None, typer.Option("--tls-cert", help="Certificate (PEM), for https and wss.")]
Key = Annotated[Path | None, typer.Option("--tls-key", help="Its private key (PEM).")]

EndsWithInput = Annotated[
    bool, typer.Option("--ends-with-input", help="End when stdin does: for whoever starts it as a child.")
]

LEADS_TO = "http://127.0.0.1:8687/"


def exchange(
    port: Port = 8686,
    seed: Seed = 1,
    speed: Speed = "1",
    data: Data = None,
    columns: Columns = None,
    skip_bad_rows: SkipBadRows = False,
    script: Script = None,
    history: History = None,
    access_token: AccessToken = None,
    paused: Paused = False,
    instruments: Instruments = 0,
    ticks_per_second: TicksPerSecond = 0,
    bursts: Bursts = False,
    cash: Cash = "1000000",
    no_ddpi: NoDdpi = False,
    redirect_url: RedirectUrl = LEADS_TO,
    no_rate_limits: NoRateLimits = False,
    tls_cert: Certificate = None,
    tls_key: Key = None,
    ends_with_input: EndsWithInput = False,
) -> None:
    """Run a Kite-compatible exchange on localhost.

    For rehearsals: REST, login page, ticker at /ws, admin door at /admin/. Stop it with Ctrl-C or SIGTERM.

    Example: alphapanda exchange --port 8686 --seed 7 --script faults.toml --history history.ndjson
    """
    import anyio

    from alphapanda.exchange.options import Options
    from alphapanda.exchange.serving.server import Start, serve

    if (tls_cert is None) != (tls_key is None):
        raise typer.BadParameter("go together: give both or neither", param_hint="--tls-cert and --tls-key")
    options = Options(
        seed=seed,
        data=tuple(data or ()),
        columns=data_overrides(None, columns, skip_bad_rows=False).get("feed.replay.columns", ()),
        skip_bad_rows=skip_bad_rows,
        instruments=instruments,
        ticks_per_second=ticks_per_second,
        bursts=bursts,
        cash=_rupees(cash),
        needs_authorisation=no_ddpi,
        access_token=_token(access_token),
        redirect_url=_address(redirect_url),
        rate_limits=not no_rate_limits,
    )
    files = {"script": script, "history": history, "certificate": tls_cert, "key": tls_key}
    start = Start(
        options=options,
        port=port,
        speed=_pace(speed),
        paused=paused,
        ends_with_input=ends_with_input,
        **files,
    )

    anyio.run(partial(serve, start, ready=lambda root: typer.echo(f"ready {root}"), say=_say))


def _pace(speed: str) -> float:
    from alphapanda.exchange.clock import FASTEST, MAX, SLOWEST

    pace = speed_of(speed) or MAX
    if pace != MAX and not SLOWEST <= pace <= FASTEST:
        bounds = f"{speed!r} is not from {SLOWEST:g} to {FASTEST:,.0f}"
        raise typer.BadParameter(f"{bounds}; as fast as it goes is max", param_hint="--speed")
    return pace


def _say(line: str) -> None:
    print(f"exchange: {line}", file=sys.stderr, flush=True)  # noqa: T201 - the log of a foreground command


def _token(text: str | None) -> str:
    """Empty where none is given."""
    if text is None:
        return ""
    if not text or not text.isprintable() or " " in text:
        raise typer.BadParameter(f"{text!r} is no token, a word without spaces", param_hint="--access-token")
    return text


def _address(text: str) -> str:
    try:
        parts = urlsplit(text)
        fits = bool(parts.scheme and parts.netloc) and text.isprintable() and " " not in text
    except ValueError:
        fits = False
    if not fits:
        raise typer.BadParameter(f"{text!r} is no address such as {LEADS_TO}", param_hint="--redirect-url")
    return text


def _rupees(text: str) -> Decimal:
    try:
        amount = Decimal(text)
        fits = 0 <= amount <= 10**12
    except InvalidOperation:  # not a number, also where Decimal calls it one
        fits = False
    if not fits:
        raise typer.BadParameter(f"{text!r} is not an amount of rupees, 0 or more", param_hint="--cash")
    return amount
