"""`render`: the settings as a config.toml with a comment above every key.

A key that is off or has no value is written commented out, so that the file shows all there is. Secrets are
never written.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import tomli_w
from msgspec import Struct
from msgspec.structs import FieldInfo, fields

from alphapanda.config.keys import description, is_section
from alphapanda.config.masking import Section, note
from alphapanda.config.settings import Settings, StrategySettings

EXAMPLE = Settings(
    strategies=(
        StrategySettings(
            id="momentum_1",
            instruments=("NSE:INFY", "NSE:RELIANCE", "NSE:SBIN", "NSE:TATASTEEL"),
            params={"lookback_period": 60, "buy_threshold": 1.003, "sell_threshold": 0.998, "quantity": 10},
        ),
        StrategySettings(
            id="mean_reversion_1",
            class_="strategies.mean_reversion:MeanReversionStrategy",
            instruments=("NSE:HDFCBANK", "NSE:ITC", "NSE:TCS"),
            params={"window": 300, "entry_z": 2.8, "exit_z": 0.5, "stop_z": 6.0, "quantity": 10},
        ),
        StrategySettings(
            id="opening_range_1",
            class_="strategies.opening_range:OpeningRangeStrategy",
            instruments=("NSE:ICICIBANK", "NSE:LT", "NSE:MARUTI"),
            params={"minutes": 15, "stop_percent": 0.5, "max_trades": 2, "exit_at": "15:10", "quantity": 10},
        ),
    )
)
"""What `alphapanda config init` writes."""

_HEAD = """\
# Alpha Panda. Every key with its default; one that is commented out is off or has no value.
# Stronger than this file, in this order: config.<env>.toml beside it (--env), the environment
# (ALPHAPANDA__RISK__MAX_ORDER_QUANTITY=500), credentials (risk__max_order_quantity), the command line.
# Relative paths start at this file's folder. Secrets are refused here: use the environment or a credential.
# After a change: alphapanda config check
"""


def render(settings: Settings = EXAMPLE) -> str:
    """The default config.toml, or that of `settings` without its secrets."""
    return "\n".join([_HEAD, *_table(settings, "")]).rstrip() + "\n"


def _table(section: Struct, name: str) -> Iterator[str]:
    """The section's own keys, then the tables in it: TOML's order."""
    kept = [field for field in fields(section) if not _is_table(field)]
    for field in kept:
        yield from _key(field, getattr(section, field.name))
    yield ""
    for field in fields(section):
        if _is_table(field):
            yield from _section(field, getattr(section, field.name), f"{name}.{field.name}".removeprefix("."))


def _is_table(field: FieldInfo) -> bool:
    return is_section(field.type) or field.name == "strategies"


def _section(field: FieldInfo, value: Any, name: str) -> Iterator[str]:
    yield f"# {description(field.type)}"
    header = f"[{name}]" if isinstance(value, Struct) else f"[[{name}]]"
    for section in [value] if isinstance(value, Struct) else value:
        yield header
        yield from _table(section, name)


def _key(field: FieldInfo, value: Any) -> Iterator[str]:
    yield f"# {description(field.type)}"
    if note(field.type, "mask") is not None and value != field.default:
        value = field.default  # a password in redis.url, the token in an alert's address
    off = value == field.default and not isinstance(value, bool) and not value
    yield ("# " if off else "") + _line(field.encode_name, value)


def _line(name: str, value: object) -> str:
    key = tomli_w.dumps({name: 0}).rpartition(" = ")[0]
    return f"{key} = {_value(value)}"


def _value(value: object) -> str:
    """tomli_w spreads arrays over many lines; here each value is one line."""
    if isinstance(value, Section):
        value = dict(value.__rich_repr__())
    if isinstance(value, Mapping):
        return f"{{ {', '.join(_line(name, inner) for name, inner in value.items())} }}" if value else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_value, value))}]"
    return tomli_w.dumps({"value": value}).removeprefix("value = ").removesuffix("\n")
