"""How an exchange is started."""

from pathlib import Path

from msgspec import Struct

from alphapanda.events import Money

API_KEY, API_SECRET, USER_ID = "rehearsal", "rehearsal-secret", "RH0001"
"""The one application and the one user of the exchange."""


class Options(Struct, frozen=True, kw_only=True):
    """`instruments` lists at least so many; `ticks_per_second` is how often each of them ticks, 0 as its own
    liveliness has it; `bursts` sends a second's ticks at once. `rate_limits` False is for load.
    `needs_authorisation` is an account without DDPI: holdings are sold only when they are authorised.
    `columns` names the columns of `data` without a header row; `skip_bad_rows` goes on without rows of it
    that cannot be read.
    """

    seed: int = 1
    data: tuple[Path, ...] = ()
    columns: tuple[str, ...] = ()
    skip_bad_rows: bool = False
    instruments: int = 0
    ticks_per_second: int = 0
    bursts: bool = False
    cash: Money = Money(1_000_000)
    access_token: str = ""
    redirect_url: str = "http://127.0.0.1:8687/"
    rate_limits: bool = True
    needs_authorisation: bool = False
