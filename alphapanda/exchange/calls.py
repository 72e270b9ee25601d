"""A request, its answer, and a refusal: what passes between the sockets and the exchange."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

JSON = "application/json"
CSV = "text/csv"
HTML = "text/html; charset=utf-8"


class Effects(Struct, frozen=True, kw_only=True):
    """What a fault does inside the exchange to this one call; the rest it does on the wire."""

    late_s: float = 0.0
    """The order registers only so many wall seconds later; until then no book shows it, nothing happens."""
    fill_first: bool = False
    """The order lives its life, updates included, before the answer leaves."""
    stuck: str = ""
    """The status in which the order stays, such as "OPEN PENDING" or "CANCEL PENDING"."""
    stuck_s: float = 0.0
    """For so many exchange seconds; 0 is for ever."""
    rejected: str = ""
    """The words in which RMS rejects the order or the change, after it was taken."""
    pieces: int = 0
    """The order trades in so many pieces, at most one a tick."""
    raced: bool = False
    """The order trades whole while its cancel is on the way."""
    stale_s: float = 0.0
    """A book as it was so many exchange seconds ago."""
    dump: str = ""
    """What is wrong with the instrument list: "missing", "yesterday", "truncated" or "reused"."""
    disagree: bool = False
    """Positions that are not the sum of the trades."""
    unseen: bool = False
    """Another fault keeps the prices of the answer from the caller: none of them is spoilt."""


class Call(Struct, frozen=True, kw_only=True):
    """One HTTP request as it came in. `kind` is the route's name, "" where no route fits.

    `url` is its path, decoded; `path` holds what the route's template names (`variety`, `order_id`);
    `query` and `form` may repeat a key; `body` is the decoded JSON of the three calls that send it.
    """

    method: str
    url: str
    kind: str = ""
    path: Mapping[str, str] = {}
    query: Sequence[tuple[str, str]] = ()
    form: Sequence[tuple[str, str]] = ()
    body: Any = None
    headers: Mapping[str, str] = {}
    """Names in lower case."""
    number: int = 0
    """Counts the requests of this exchange from 1."""
    now_ns: int = 0
    """Exchange time at which it is handled."""
    wall_ns: int = 0
    """The machine's clock then, in nanoseconds since 1970: what rate limits count."""
    effects: Effects = Effects()

    @property
    def fields(self) -> dict[str, str]:
        """What the caller sent by name, in the query or in the form; the last of a repeated key."""
        return {**dict(self.query), **dict(self.form)}

    def every(self, name: str) -> list[str]:
        """All values of a key that may repeat, in the order they came."""
        return [value for key, value in (*self.query, *self.form) if key == name]


class Reply(Struct, frozen=True, kw_only=True):
    """An answer. `content_type` None sends no such header, as a broken gateway does."""

    status: int = 200
    body: bytes = b""
    content_type: str | None = JSON
    headers: Mapping[str, str] = {}


class Refusal(Exception):  # noqa: N818 - a refusal is an answer, not a failure of ours
    """Kite says no: the HTTP code, its name of the error, and its words."""

    def __init__(self, code: int, error_type: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.error_type = error_type
        self.message = message


def invalid(message: str) -> Refusal:
    """What the caller sent cannot be taken."""
    return Refusal(400, "InputException", message)


def missing(field: str) -> Refusal:
    """In the words of Kite's own web framework, github.com/zerodha/fastglue."""
    return invalid(f"Missing or empty field `{field}`")
