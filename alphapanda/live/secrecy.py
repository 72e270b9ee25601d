"""What strategies say is somebody else's text: no secret in it reaches the journal or the log."""

from msgspec.structs import replace

from alphapanda.config.redaction import redact
from alphapanda.events import Approved, Refused, StrategyFailed, TradingSignal

LONGEST_ERROR = 500


def without_secrets(event: object) -> object:
    """The event as it may be kept; nearly always the same object."""
    match event:
        case StrategyFailed():
            error = redact(event.error)[:LONGEST_ERROR]
            return replace(event, error=error, trace=tuple(map(redact, event.trace)))
        case Approved(signal=signal) | Refused(signal=signal) if (kept := _kept(signal)) is not signal:
            return replace(event, signal=kept)
    return event


def _kept(signal: TradingSignal) -> TradingSignal:
    reason = redact(signal.reason) if signal.reason else ""
    return signal if reason == signal.reason else replace(signal, reason=reason)
