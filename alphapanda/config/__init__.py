"""The configuration: config.toml and what may override it, read once into frozen settings.

`settings.py` names every key with its default and its meaning, `layers.py` says where values come from,
`checks.py` what contradicts what, `writer.py` writes the commented config.toml.
"""

from alphapanda.config.checks import scope_mistake
from alphapanda.config.days import vouched_until
from alphapanda.config.keys import KEYS, Key
from alphapanda.config.loading import Loaded, load
from alphapanda.config.masking import MASK, masked
from alphapanda.config.mistakes import ConfigError, NoConfiguration
from alphapanda.config.settings import Logging, Mode, Settings, StrategySettings, limits_of, mode_of
from alphapanda.config.writer import EXAMPLE, render

__all__ = [
    "EXAMPLE",
    "KEYS",
    "MASK",
    "ConfigError",
    "Key",
    "Loaded",
    "Logging",
    "Mode",
    "NoConfiguration",
    "Settings",
    "StrategySettings",
    "limits_of",
    "load",
    "masked",
    "mode_of",
    "render",
    "scope_mistake",
    "vouched_until",
]
