"""The fault script: what goes wrong, where and when, by order. Every fault that fires is in the history.

`read_script` reads TOML or JSON; `Faults` counts and decides; `WirePlan` is what happens to one HTTP call.
What a fault does to ticks, updates and sockets the stream asks for; what it does inside the exchange travels
in `Effects` with the call.
"""

from alphapanda.exchange.faults.fault import Fault
from alphapanda.exchange.faults.faults import Faults, Hands
from alphapanda.exchange.faults.script import Script, read_script
from alphapanda.exchange.faults.wire import WirePlan

__all__ = ["Fault", "Faults", "Hands", "Script", "WirePlan", "read_script"]
