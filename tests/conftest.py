"""How hypothesis runs: it judges what is true, not how fast. Machines are slow and shared."""

from hypothesis import settings

settings.register_profile("house", deadline=None)
settings.load_profile("house")
