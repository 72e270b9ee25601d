"""The login of the day, kept in a file beside the store that only its owner may read.

Kite has one access token for a user and an application: the commands and the daemon share this one. That of
an exchange on this machine has a file of its own, so that a rehearsal never touches a login to Zerodha.
"""

import os
import re
import stat
import tempfile
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
from msgspec import Struct

from alphapanda.addresses import is_loopback
from alphapanda.errors import CannotStart, Fatal
from alphapanda.times import IST, to_ns
from alphapanda.venues.zerodha.roots import Roots

FILE, REHEARSAL_FILE = "zerodha.token", "zerodha-rehearsal.token"
DIES_AT_HOUR = 6
"""Kite Connect documentation, "User": an access token expires at 06:00 of the next day."""
OPEN_TO_OTHERS = stat.S_IRWXG | stat.S_IRWXO
LONGEST = 64 * 1024
SENDABLE = re.compile(r"[\x21-\x7e]+")
"""A token with other characters can be in no header."""
AGAIN = "`alphapanda login` makes a new one"


class Token(Struct, frozen=True, kw_only=True):
    """One login. Times are in IST: `login_time` is Kite's own, `expires` follows from it."""

    root: str
    """The REST root that made it, and the only one that may ever see it."""
    api_key: str
    user_id: str
    user_name: str
    access_token: str
    login_time: datetime
    expires: datetime

    def __repr__(self) -> str:
        return f"Token(user_id={self.user_id!r}, root={self.root!r}, expires={self.expires})"


def expiry_of(login_time: datetime) -> datetime:
    """06:00 IST, of the same day for a login before that."""
    moment = login_time.astimezone(IST)
    six = moment.replace(hour=DIES_AT_HOUR, minute=0, second=0, microsecond=0)
    return six if moment < six else six + timedelta(days=1)


class Tokens:
    """The file of these roots in `folder`."""

    def __init__(self, folder: Path, roots: Roots) -> None:
        self.root = roots.api
        self.loopback = is_loopback(roots.api)
        self.path = folder / (REHEARSAL_FILE if self.loopback else FILE)

    def read(self, api_key: str = "") -> Token | None:
        """None where nobody has logged in. `api_key`: the application it must be of; "" takes any.

        Raises CannotStart for a file that is no login of ours, that others may read, or that was made for
        another address or application: its token is shown to none but its own. The login of another exchange
        on this machine is none at all: these come and go.
        """
        text = self._text()
        if text is None:
            return None
        try:
            token = msgspec.json.decode(text, type=Token)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise self._bad(f"is damaged; {AGAIN}") from None
        zones = token.login_time.tzinfo, token.expires.tzinfo
        if not SENDABLE.fullmatch(token.access_token) or None in zones:
            raise self._bad(f"is damaged; {AGAIN}")
        if token.root != self.root:
            if self.loopback and is_loopback(token.root):
                return None
            raise self._bad(f"is a login at {token.root}, not at {self.root}; {AGAIN}")
        if api_key and token.api_key != api_key:
            raise self._bad(f"is a login of another zerodha.api_key; {AGAIN}")
        return token

    def expired(self, token: Token, now_ns: int) -> bool:
        """By the wall clock; an exchange on this machine has a day of its own and says so itself."""
        return not self.loopback and now_ns >= to_ns(token.expires)

    def write(self, token: Token) -> None:
        """Whole or not at all, and never readable by others. Raises Fatal."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            number, name = tempfile.mkstemp(prefix=f".{self.path.name}.", dir=self.path.parent)  # 0600
            try:
                with os.fdopen(number, "wb") as file:
                    self._give_away(file.fileno())
                    file.write(msgspec.json.format(msgspec.json.encode(token)) + b"\n")
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(name, self.path)  # noqa: PTH105 - beside the other calls of os
            except BaseException:
                with suppress(OSError):
                    os.unlink(name)  # noqa: PTH108 - as above
                raise
            self._settle()
        except OSError as error:
            raise Fatal(f"{self.path} cannot be written: {error.strerror}; correct that there") from None

    def remove(self) -> bool:
        """Whether there was one; also what a write left that was killed half way. Raises Fatal."""
        try:
            was_there = self.path.exists()
            for path in (self.path, *self.path.parent.glob(f".{self.path.name}.*")):
                path.unlink(missing_ok=True)
            if was_there:
                self._settle()
        except OSError as error:
            raise Fatal(f"{self.path} cannot be removed: {error.strerror}; remove it by hand") from None
        return was_there

    def signature(self) -> tuple[int, ...] | None:
        """What changes with the file. None: there is none; empty: nobody can tell, and `read` says why."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        except OSError:
            return ()
        return (found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_mode)

    def _text(self) -> bytes | None:
        try:
            # Not blocking: somebody may have put a pipe there.
            with os.fdopen(os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                if not stat.S_ISREG(mode):
                    raise self._bad(f"is no file; remove it; {AGAIN}")
                if mode & OPEN_TO_OTHERS:
                    open_to = f"{stat.S_IMODE(mode):04o}"
                    raise self._bad(f"is open to others (mode {open_to}), its token is no secret; {AGAIN}")
                return file.read(LONGEST)
        except FileNotFoundError:
            return None
        except IsADirectoryError:  # Python's own check of what it opens
            raise self._bad(f"is a folder; remove it; {AGAIN}") from None
        except OSError as error:
            raise self._bad(
                f"cannot be read: {error.strerror}; correct that, or remove it; {AGAIN}"
            ) from None

    def _give_away(self, number: int) -> None:
        """What root writes into the folder of the daemon's user is for that user."""
        owner = self.path.parent.stat()
        if os.geteuid() == 0 and owner.st_uid != 0:
            os.fchown(number, owner.st_uid, owner.st_gid)

    def _settle(self) -> None:
        """The name is on the disk too."""
        number = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(number)
        finally:
            os.close(number)

    def _bad(self, what: str) -> CannotStart:
        return CannotStart(f"{self.path} {what}")
