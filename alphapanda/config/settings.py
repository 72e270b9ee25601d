"""Every key of config.toml: its type, its default, its range and one line on what it means.

The line becomes the comment in config.toml. The limits of [risk] are the fields of the rules in
`core.rules.RULES`: a new rule adds its keys here by being in that list, and to [[risk.overrides]] as well.
"""

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

from alphapanda.addresses import is_loopback
from alphapanda.config.days import CalendarSettings
from alphapanda.config.masking import Secret, SecretUrl, SecretUrls, Section
from alphapanda.core.limits import FIELDS, Limits
from alphapanda.events import Money, Scope

# msgspec sets no bounds on decimals and has no type for paths: `extra` says it, checks.py and loading.py act.
Share = Annotated[Money, Meta(extra={"ge": 0, "lt": 100})]
Cash = Annotated[Money, Meta(extra={"gt": 0, "le": 10**12})]
DaysMove = Annotated[Money, Meta(extra={"ge": 0, "le": 10})]
Paths = Annotated[tuple[str, ...], Meta(extra={"path": True})]
OnePath = Annotated[str, Meta(min_length=1, extra={"path": True})]
Seconds = Annotated[float, Meta(gt=0)]
Minutes = Annotated[int, Meta(ge=1, le=240)]
Speed = Annotated[float, Meta(gt=0)] | Literal["max"]


def says(text: str) -> Meta:
    return Meta(description=text)


class Simulated(Section, frozen=True):
    seed: Annotated[int, Meta(ge=0), says("the same seed makes the same prices")] = 1
    instruments: Annotated[
        tuple[str, ...],
        says('what has prices beside what strategies name, as "EXCHANGE:SYMBOL"; none: 20 well-known shares'),
    ] = ()
    volatility: Annotated[DaysMove, says("usual size of a day's move of a share, in percent, at most 10")] = (
        Money("1.5")
    )
    speed: Annotated[Speed, says('how many times faster than the clock, or "max"')] = 1.0


class Replay(Section, frozen=True):
    paths: Annotated[Paths, says("CSV, Parquet or tape: files, folders or globs")] = ()
    speed: Annotated[Speed, says('how many times faster than it was recorded, or "max"')] = "max"
    columns: Annotated[tuple[str, ...], says("names of the columns, for files without a header row")] = ()
    skip_bad_rows: Annotated[bool, says("count a bad row and go on, instead of stopping the run")] = False


class Feed(Section, frozen=True):
    source: Annotated[
        Literal["simulated", "replay", "zerodha"], says("simulated, replay (files) or zerodha (live)")
    ] = "simulated"
    simulated: Annotated[Simulated, says("Invented prices of one session.")] = Simulated()
    replay: Annotated[Replay, says("Prices from files.")] = Replay()


class PaperTrading(Section, frozen=True):
    enabled: Annotated[bool, says("whether the paper broker may be used")] = True
    slippage_percent: Annotated[Share, says("how much worse than the last price, in percent")] = Money("0.05")
    commission_percent: Annotated[Share, says('charge of a fill when charges = "flat", in percent')] = Money(
        "0.1"
    )
    charges: Annotated[
        Literal["flat", "zerodha"],
        says("flat (commission_percent) or zerodha (brokerage, taxes and fees by dated rates)"),
    ] = "flat"
    margins: Annotated[
        Literal["full", "declared"],
        says("cash an entry claims: full (its value) or declared (about what MIS and F&O need: an estimate)"),
    ] = "full"
    starting_cash: Annotated[Cash, says("cash at the start, in rupees")] = Money("1000000.0")
    fills: Annotated[
        Literal["depth", "last_price"],
        says("depth (trade with the order book where a tick has one) or last_price (with slippage, always)"),
    ] = "depth"
    rms_square_off: Annotated[
        bool, says("close what is left of MIS at the broker's own time, for Rs 59 an order, as Zerodha does")
    ] = False


class Zerodha(Section, frozen=True):
    enabled: Annotated[bool, says("whether the zerodha broker may be used: real orders, real money")] = False
    api_key: Annotated[
        Secret, says("secret: only by ALPHAPANDA__ZERODHA__API_KEY or the credential zerodha__api_key")
    ] = ""
    api_secret: Annotated[
        Secret, says("secret: only by ALPHAPANDA__ZERODHA__API_SECRET or the credential zerodha__api_secret")
    ] = ""
    access_token: Annotated[
        Secret, says("secret of the day; `alphapanda login` stores it, so usually not needed")
    ] = ""
    api_root: Annotated[str, says("REST address; empty: Kite's own")] = ""
    ws_root: Annotated[str, says("ticker address; empty: Kite's own")] = ""
    login_root: Annotated[str, says("login page; empty: Kite's own")] = ""
    product: Annotated[
        Literal["MIS", "CNC", "NRML"], says("MIS (intraday), CNC (delivery) or NRML (carried forward)")
    ] = "MIS"
    market_protection: Annotated[
        Money, says("how far from the price a market order may trade, in percent; -1: Zerodha's own table")
    ] = Money(-1)
    quiet_period_s: Annotated[
        float, Meta(ge=0), says("how long an order's absence is watched before it is believed, in seconds")
    ] = 30


def _decodable(annotation: Any) -> Any:
    """A rule's annotation as msgspec can decode it: bounds of a decimal move to `extra`."""
    base, *metas = get_args(annotation)
    if base is not Decimal:
        return annotation
    said = [(name, getattr(meta, name)) for meta in metas for name in ("ge", "gt", "le", "lt")]
    extra = {name: bound for name, bound in said if bound is not None}
    text = next((meta.description for meta in reversed(metas) if meta.description), None)
    return Annotated[base, Meta(description=text, extra=extra)]


_Limits: Any = msgspec.defstruct(
    "_Limits",
    [(name, _decodable(each.type), each.default) for name, each in FIELDS.items()],
    bases=(Section,),
    frozen=True,
    kw_only=True,
)


class ScopeSettings(Section, frozen=True):
    broker: str = ""
    strategy: str = ""
    instrument: str = ""


_ScopedLimits: Any = msgspec.defstruct(
    "_ScopedLimits",
    [(name, _decodable(each.type) | UnsetType, UNSET) for name, each in FIELDS.items()],
    bases=(Section,),
    frozen=True,
    kw_only=True,
)


class Override(_ScopedLimits, kw_only=True):  # type: ignore[misc, call-arg]  # as Risk
    """One [[risk.overrides]]: a scope, and those limits that it has of its own."""

    scope: ScopeSettings

    @property
    def within(self) -> Scope:
        return Scope(self.scope.broker, self.scope.strategy, self.scope.instrument)

    @property
    def limits(self) -> dict[str, Any]:
        found = {name: getattr(self, name) for name in FIELDS}
        return {name: value for name, value in found.items() if value is not UNSET}

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        scope = [(name, value) for name, value in self.scope.__rich_repr__() if value]
        return [("scope", dict(scope)), *self.limits.items()]


class Risk(_Limits, kw_only=True):  # type: ignore[misc, call-arg]  # its keys are known at run time only
    overrides: Annotated[
        tuple[Override, ...],
        says('also, of a scope: [{ scope = { strategy = "momentum_1" }, max_order_value = 50000.0 }]'),
    ] = ()


class SquareOffSettings(Section, frozen=True):
    enabled: Annotated[bool, says("close MIS positions before the broker does; resting orders go first")] = (
        False
    )
    minutes_before: Annotated[
        Minutes, says("minutes before the broker's own square-off, or the session's end if that comes first")
    ] = 10
    entries_stop_minutes: Annotated[
        int, Meta(ge=0, le=240), says("minutes before our square-off from which MIS entries are refused")
    ] = 5


class StrategySettings(Section, frozen=True):
    id: Annotated[str, says("its name in orders and commands: letters, digits, _ and -, at most 32")]
    class_: Annotated[str, says('the Python class, as "module.path:ClassName"')] = field(
        name="class", default="strategies.momentum:MomentumStrategy"
    )
    instruments: Annotated[tuple[str, ...], says('what it trades, as "EXCHANGE:SYMBOL"')] = ("NSE:INFY",)
    brokers: Annotated[tuple[str, ...], says("where its orders go; the first is the one it looks at")] = (
        "paper",
    )
    enabled: Annotated[bool, says("whether it runs")] = True
    params: Annotated[dict[str, Any], says("parameters of the class")] = field(default_factory=dict)


class Storage(Section, frozen=True):
    path: Annotated[OnePath, says("the SQLite file that holds orders, trades and the audit")] = (
        "var/alphapanda.db"
    )
    require_fixed_sqlite: Annotated[
        bool, says("do not start on an SQLite version with a known data-loss fault")
    ] = False
    reserve_mib: Annotated[
        int,
        Meta(ge=0, le=65_536),
        says("MiB kept free beside it, so that a full disk leaves room for the last words; 0 keeps none"),
    ] = 64


class Redis(Section, frozen=True):
    enabled: Annotated[bool, says("publish counters and status to Redis, and obey its kill key")] = False
    url: Annotated[
        SecretUrl, says("with a password only by ALPHAPANDA__REDIS__URL or the credential redis__url")
    ] = "redis://localhost:6379/0"


class Control(Section, frozen=True):
    socket: Annotated[OnePath, says("the socket by which commands reach the daemon")] = "var/control.sock"
    group: Annotated[str, says("a system group that may use the socket; empty: only the daemon's user")] = ""
    kill_file: Annotated[OnePath, says("a file here halts trading; `kill-switch off` removes it")] = (
        "var/KILL"
    )


class Monitoring(Section, frozen=True):
    health_check_enabled: Annotated[
        bool, says("count memory, descriptors, threads and disk now and then")
    ] = True
    health_check_interval: Annotated[Seconds, says("time between two such counts, in seconds")] = 30.0
    pipeline_flow_monitoring_enabled: Annotated[
        bool, says("count what passes between the stages (not available yet)")
    ] = True
    market_data_latency_threshold: Annotated[
        Seconds, says("warn when ticks arrive later than this, in seconds (not available yet)")
    ] = 1.0


class Logging(Section, frozen=True):
    level: Annotated[
        Literal["TRACE", "DEBUG", "INFO", "SUCCESS", "WARNING", "ERROR", "CRITICAL"],
        says("the least that is logged: TRACE, DEBUG, INFO, SUCCESS, WARNING, ERROR or CRITICAL"),
    ] = "INFO"
    json_format: Annotated[bool, says("one JSON object a line")] = False
    console_enabled: Annotated[bool, says("log to stderr")] = True
    file_enabled: Annotated[bool, says("log to files in logs_dir")] = False
    logs_dir: Annotated[OnePath, says("folder of the log files")] = "logs"


class Alerts(Section, frozen=True):
    urls: Annotated[SecretUrls, says("where alerts are sent (not available yet)")] = ()


class Settings(Section, frozen=True):
    """The whole configuration. Frozen: what differs needs a restart."""

    environment: Annotated[str, Meta(min_length=1), says("a name for this set-up, shown by status")] = (
        "development"
    )
    active_brokers: Annotated[tuple[str, ...], says('brokers that trade: "paper", "zerodha"')] = ("paper",)
    feed: Annotated[Feed, says("Where prices come from.")] = Feed()
    paper_trading: Annotated[PaperTrading, says("The paper broker: no real money.")] = PaperTrading()
    zerodha: Annotated[Zerodha, says("The zerodha broker (Kite Connect).")] = Zerodha()
    risk: Annotated[Risk, says("Limits that every order passes; 0 is off.")] = Risk()
    square_off: Annotated[SquareOffSettings, says("The end of intraday positions.")] = SquareOffSettings()
    calendar: Annotated[CalendarSettings, says("Days and hours beyond the table of the program.")] = (
        CalendarSettings()
    )
    strategies: Annotated[tuple[StrategySettings, ...], says("What trades: one [[strategies]] each.")] = ()
    storage: Annotated[Storage, says("What is kept.")] = Storage()
    redis: Annotated[Redis, says("Counters for other programs.")] = Redis()
    control: Annotated[Control, says("How commands reach a running daemon.")] = Control()
    monitoring: Annotated[Monitoring, says("Watching the stages.")] = Monitoring()
    logging: Annotated[Logging, says("Logs.")] = Logging()
    alerts: Annotated[Alerts, says("Telling people.")] = Alerts()


def limits_of(settings: Settings) -> Limits:
    """What [risk] and [[risk.overrides]] say."""
    risk = settings.risk
    everywhere = {name: getattr(risk, name) for name in FIELDS}
    return Limits.of(everywhere, [(each.within, each.limits) for each in risk.overrides])


class Mode(StrEnum):
    """Whose money it is, on every screen and line."""

    PAPER = "PAPER"
    REHEARSAL = "REHEARSAL"
    """Orders or prices of an exchange on this machine."""
    LIVE = "LIVE"


def mode_of(settings: Settings) -> Mode:
    zerodha = settings.zerodha
    if "zerodha" in settings.active_brokers:
        return Mode.REHEARSAL if is_loopback(zerodha.api_root) else Mode.LIVE
    rehearsed = settings.feed.source == "zerodha" and is_loopback(zerodha.ws_root)
    return Mode.REHEARSAL if rehearsed else Mode.PAPER
