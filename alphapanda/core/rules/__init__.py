"""The risk rules: one small class each, its limits as its fields, `RULES` as the list.

To add a rule write its class in the file of its kind, name it in `RULES`, and test its edge: `config.toml`
and `risk` in the README take the fields' names, defaults and descriptions from there. A rule's `code` is the
configuration key to change, so a refusal names it. Names and definitions: FIA best practices for automated
trading (2015), MiFID II RTS 6 article 15, SEC rule 15c3-5. A limit of 0 is off.
"""

from alphapanda.core.rules.approvals import Approvals, Refusals, its_fault
from alphapanda.core.rules.asked import Asked
from alphapanda.core.rules.claims import (
    NOT_OURS,
    Claims,
    Kept,
    Outside,
    Reserve,
    outside_of,
)
from alphapanda.core.rules.conduct import (
    AllowedInstruments,
    AllowedProducts,
    SelfMatch,
    not_listed,
    unprotected,
)
from alphapanda.core.rules.contract import (
    EVERYWHERE,
    Desk,
    Known,
    Rule,
    State,
    Usage,
    View,
)
from alphapanda.core.rules.exposure import (
    AvailableCash,
    MaximumGrossExposure,
    MaximumOpenPositions,
    MaximumPositionQuantity,
    MaximumPositionValue,
)
from alphapanda.core.rules.facts import impossible, limit_of, not_a_number, trigger_of
from alphapanda.core.rules.loss import DailyLoss, Drawdown, LossesInARow, WeeklyLoss
from alphapanda.core.rules.marks import Mark, Marks
from alphapanda.core.rules.pairs import Pointless, pointless
from alphapanda.core.rules.price import (
    FrozenPrice,
    PriceDeviation,
    PriceJump,
    StalePrice,
    UntrustedPrice,
    WideSpread,
)
from alphapanda.core.rules.rate import (
    HIGHEST_PER_SECOND,
    DuplicateSignal,
    OrdersPerDay,
    OrdersPerMinute,
    OrdersPerSecond,
    RefusedInARow,
    RepeatedOrders,
    over_the_threshold,
)
from alphapanda.core.rules.size import (
    MOST_SLICES,
    Freeze,
    FreezeQuantity,
    FreezeRow,
    MaximumOrderQuantity,
    MaximumOrderValue,
    slices_of,
)

__all__ = [
    "EVERYWHERE",
    "HIGHEST_PER_SECOND",
    "MOST_SLICES",
    "NOT_OURS",
    "RULES",
    "AllowedInstruments",
    "AllowedProducts",
    "Approvals",
    "Asked",
    "AvailableCash",
    "Claims",
    "DailyLoss",
    "Desk",
    "Drawdown",
    "DuplicateSignal",
    "Freeze",
    "FreezeQuantity",
    "FreezeRow",
    "FrozenPrice",
    "Kept",
    "Known",
    "LossesInARow",
    "Mark",
    "Marks",
    "MaximumGrossExposure",
    "MaximumOpenPositions",
    "MaximumOrderQuantity",
    "MaximumOrderValue",
    "MaximumPositionQuantity",
    "MaximumPositionValue",
    "OrdersPerDay",
    "OrdersPerMinute",
    "OrdersPerSecond",
    "Outside",
    "Pointless",
    "PriceDeviation",
    "PriceJump",
    "Refusals",
    "RefusedInARow",
    "RepeatedOrders",
    "Reserve",
    "Rule",
    "SelfMatch",
    "StalePrice",
    "State",
    "UntrustedPrice",
    "Usage",
    "View",
    "WeeklyLoss",
    "WideSpread",
    "impossible",
    "its_fault",
    "limit_of",
    "not_a_number",
    "not_listed",
    "outside_of",
    "over_the_threshold",
    "pointless",
    "slices_of",
    "trigger_of",
    "unprotected",
]

RULES: tuple[type[Rule], ...] = (
    MaximumOrderQuantity,
    MaximumOrderValue,
    FreezeQuantity,
    MaximumPositionQuantity,
    MaximumPositionValue,
    MaximumOpenPositions,
    MaximumGrossExposure,
    AvailableCash,
    DailyLoss,
    WeeklyLoss,
    Drawdown,
    LossesInARow,
    UntrustedPrice,
    StalePrice,
    PriceDeviation,
    WideSpread,
    PriceJump,
    FrozenPrice,
    OrdersPerSecond,
    OrdersPerMinute,
    OrdersPerDay,
    DuplicateSignal,
    RepeatedOrders,
    RefusedInARow,
    SelfMatch,
    AllowedInstruments,
    AllowedProducts,
)
"""Every rule, in the order they are asked; the first that refuses names the refusal."""
