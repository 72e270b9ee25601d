"""How a run was asked for, beside its settings."""

from collections.abc import Callable

from msgspec import Struct


def _unwatched(_fraction: float, _row: int, _time_ns: int) -> None:
    """Nobody looks."""


def _as_it_is() -> None:
    """Nothing is to be done."""


class Options(Struct, frozen=True, kw_only=True):
    """`speed` None walks a finite feed as fast as the line allows."""

    speed: float | None = None
    until_end: bool = False
    from_start: bool = False
    calendar: bool = True
    watch: Callable[[float, int, int], None] = _unwatched
    """(fraction of the data read, row, time of the row), twice a second: for a progress bar."""
    ready: Callable[[], None] = _as_it_is
    """Called once all is opened, before the first price."""
