"""Why entries are held: several may hold the same symbol, and the gate opens when the last one lets go."""

from collections.abc import Callable

EVERYTHING = ""
"""In the place of EXCHANGE:SYMBOL: every order of this broker."""


class Holds:
    """`hold` (symbol, why) and `release` (symbol) are the gate's, which knows one reason for each symbol."""

    def __init__(self, hold: Callable[[str, str], None], release: Callable[[str], None]) -> None:
        self._hold = hold
        self._release = release
        self._reasons: dict[str, dict[str, str]] = {}
        """Symbol -> owner -> why."""

    def hold(self, owner: str, symbol: str, why: str) -> None:
        reasons = self._reasons.setdefault(symbol, {})
        if reasons.get(owner) != why:
            reasons[owner] = why
            self._hold(symbol, why)

    def release(self, owner: str, symbol: str) -> None:
        reasons = self._reasons.get(symbol, {})
        if reasons.pop(owner, None) is None:
            return
        if reasons:
            self._hold(symbol, next(reversed(reasons.values())))
        else:
            del self._reasons[symbol]
            self._release(symbol)

    def only(self, owner: str, wanted: dict[str, str]) -> None:
        """Of this owner these, symbol -> why, and no others."""
        held = [symbol for symbol, reasons in self._reasons.items() if owner in reasons]
        for symbol in held:
            if symbol not in wanted:
                self.release(owner, symbol)
        for symbol, why in wanted.items():
            self.hold(owner, symbol, why)
