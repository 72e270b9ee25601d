"""Errors sorted by what must happen next. What the market does is an event, never an error."""


class Transient(Exception):  # noqa: N818 - a state of the world, not a mistake
    """The world failed for now (time-out, lost connection): the supervisor may try again."""


class Fatal(Exception):  # noqa: N818 - as above
    """Going on would be wrong or blind: stop trading and leave with exit code 1."""


class CannotStart(Fatal):
    """Configuration, store, token or a second daemon: leave with exit code 3, systemd does not restart."""


class DataError(Fatal):
    """A price file cannot be read; the message names the file, the line and the reason."""


class NotRunning(Exception):  # noqa: N818 - as above
    """A command needs the daemon and there is none: exit code 4."""
