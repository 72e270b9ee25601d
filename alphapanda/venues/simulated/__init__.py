"""The simulated session: invented prices of one day, the same for the same seed on every machine."""

from alphapanda.venues.simulated.day import OPENS
from alphapanda.venues.simulated.listing import BUILT_IN, instrument_of
from alphapanda.venues.simulated.session import SimulatedSession

__all__ = ["BUILT_IN", "OPENS", "SimulatedSession", "instrument_of"]
