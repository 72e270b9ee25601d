"""Counters and status to Redis once a second, and the key there that can halt trading.

Nothing on the line waits for it. A flush is one round trip: the key, then one transaction with everything
else. It has 250 ms to connect and to be answered, is never repeated, and is counted as dropped when Redis did
not take it whole; while Redis is away it is tried less and less often, ten seconds apart at the longest.
`alpha_panda:status` is `status --json` with dotted names: true and false are 1 and 0, none is empty.

The key `alpha_panda:ops:trading_enabled` follows the kill switch: 0 while it is on, whatever others write
there. While it is off, a 0 that is found there is a kill, and so is `false`, `off` or `no`; any other value
is put right. The operator's `kill-switch off` writes 1 until Redis has taken it, and only then is the key
obeyed again. Whose hand wrote a 0 cannot be known: one that is still there at the next start is a kill.
"""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import anyio
from loguru import logger

from alphapanda.errors import CannotStart
from alphapanda.live.counters import Counters
from alphapanda.live.switch import KillSwitch
from alphapanda.times import to_ist

KEY = "alpha_panda:ops:trading_enabled"
STATUS = "alpha_panda:status"
STATUS_EXPIRES_S = 30
KILL_WORDS = frozenset({"0", "false", "off", "no"})

TIMEOUT_S = 0.25
DEADLINE_S = 0.5
"""Of one flush in all: a server that trickles its answer is given up as well."""
PERIOD_S = 1.0
LONGEST_PAUSE_S = 10.0
LONGEST_PROBLEM = 200

Command = tuple[str | int | float, ...]


class Away(Exception):  # noqa: N818 - a state of the world, not a mistake
    """Redis did not answer in time, or not like Redis."""


class Door:
    """One connection to Redis. What goes wrong there is `Away`; no message shows a password."""

    def __init__(self, url: str) -> None:
        """Raises CannotStart when the URL cannot be used. Connects to nothing yet."""
        # Late: the client costs a tenth of a second that only those pay who use it.
        from redis.asyncio import ConnectionPool, Redis  # noqa: PLC0415 - late
        from redis.asyncio.retry import Retry  # noqa: PLC0415 - late
        from redis.backoff import NoBackoff  # noqa: PLC0415 - late
        from redis.exceptions import RedisError, ResponseError  # noqa: PLC0415 - late

        self._refusal = ResponseError
        # The client's parser, fed by something that is no Redis, raises almost anything.
        self._failures = (
            RedisError, OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError
        )  # fmt: skip
        options: dict[str, Any] = {
            "socket_timeout": TIMEOUT_S,
            "socket_connect_timeout": TIMEOUT_S,
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,
            "decode_responses": True,
            "encoding_errors": "replace",
        }
        try:
            self._pool = ConnectionPool.from_url(url, **options)
            # A wrong option in the URL shows only when a connection is made of it.
            self._pool.make_connection()  # type: ignore[no-untyped-call]  # theirs
        except self._failures as error:
            raise CannotStart(
                "redis.url cannot be used: it must look like redis://host:6379/0, rediss://host:6379/0 "
                "or unix:///path/to/redis.sock; correct it"
            ) from error
        self._has_password = bool(self._pool.connection_kwargs.get("password"))
        self._client = Redis(connection_pool=self._pool)

    async def send(self, commands: Sequence[Command]) -> list[Any]:
        """One round trip; a command that Redis refused has its error as its answer. Raises Away."""
        whole = False
        try:
            async with asyncio.timeout(DEADLINE_S), self._client.pipeline(transaction=False) as pipe:
                for command in commands:
                    pipe.execute_command(*command)
                answers = list(await pipe.execute(raise_on_error=False))
            whole = True
        except self._failures as error:
            raise Away(self.words(error)) from error
        finally:
            if not whole:  # an answer that comes late must not be taken for the next one's
                await self.close()
        return answers

    async def flush(self, key: Command, writes: Sequence[Command]) -> tuple[Any, str | None]:
        """`key`, then `writes` in one transaction, in one round trip. Raises Away.

        Returns the answer to `key`, and what Redis refused first, if anything.
        """
        answers = await self.send([key, ("MULTI",), *writes, ("EXEC",)])
        executed = answers[-1]
        if not isinstance(executed, list) and not self.refused(executed):
            await self.close()
            raise Away("it does not answer like Redis")
        each = [*answers, *(executed if isinstance(executed, list) else ())]
        return answers[0], next((self.words(answer) for answer in each if self.refused(answer)), None)

    def refused(self, answer: object) -> bool:
        return isinstance(answer, self._refusal)

    def words(self, error: object) -> str:
        """For the log. With a password only the kind of error: a server may repeat what it was sent."""
        kind = type(error).__name__
        if self._has_password:
            return kind
        return " ".join(f"{kind}: {error}".split())[:LONGEST_PROBLEM]

    async def close(self) -> None:
        """It opens again by itself."""
        with anyio.CancelScope(shield=True), suppress(*self._failures):
            await self._pool.disconnect()


class Metrics:
    """`run` is a task that may die and come back; `obey` follows when the kill switch knows the journal."""

    def __init__(
        self,
        url: str,
        *,
        status: Callable[[], Mapping[str, Any]],
        counters: Counters,
        brokers: Sequence[str],
        switch: KillSwitch,
        flushed: Callable[[], None],
    ) -> None:
        """Raises CannotStart when the URL cannot be used. `flushed` is called after each attempt."""
        self.looked = anyio.Event()
        """The first flush has ended, well or not."""
        self.connected = False
        self.dropped = 0
        self._door = Door(url)
        self._status = status
        self._counters = counters
        self._brokers = brokers
        self._switch = switch
        self._flushed = flushed
        self._obeying = False
        self._found_at_start: object = None
        self._taken = switch.rearmed
        self._failures = 0
        self._problem: str | None = ""
        self._odd: object = None

    def summary(self) -> dict[str, Any]:
        return {"enabled": True, "connected": self.connected, "dropped": self.dropped}

    async def run(self) -> None:
        """Once a second until cancelled; what was counted last is sent on the way out."""
        try:
            while True:
                await self.flush()
                self._flushed()
                self.looked.set()
                await anyio.sleep(self._pause())
        finally:
            self.looked.set()
            with anyio.CancelScope(shield=True):
                await self._last_flush()

    async def obey(self) -> None:
        """Wait for the first look, act on what was found until now, and obey the key from now on."""
        await self.looked.wait()
        self._obeying = True
        found, self._found_at_start = self._found_at_start, None  # a line that begins anew has obeyed it
        if _is_kill(found):
            await self._kill(found)

    async def _last_flush(self) -> None:
        """The final figures. The key is for the next start to look at."""
        if self.connected:
            await self.flush(look=False)
        if self._owed():
            logger.warning(
                "redis has not taken that trading is enabled: a 0 left in {} halts the next start", KEY
            )
        self.connected = False
        await self._door.close()

    def _pause(self) -> float:
        if not self._failures:
            return PERIOD_S
        longest = min(LONGEST_PAUSE_S, PERIOD_S * 2 ** min(self._failures - 1, 10))
        return random.uniform(longest / 2, longest)  # noqa: S311 - jitter, not a secret

    def _owed(self) -> bool:
        """The operator has switched the kill switch off, and Redis does not know it yet."""
        return not self._switch.killed and self._switch.rearmed != self._taken

    async def flush(self, *, look: bool = True) -> None:
        """One round trip. Only a kill that cannot be written down is raised."""
        killed, owed, rearmed = self._switch.killed, self._owed(), self._switch.rearmed
        key: Command = ("SET", KEY, 0) if killed else ("SET", KEY, 1) if owed else ("GET", KEY)
        try:
            # The key is outside of the transaction: it is read even where Redis refuses to write.
            said, problem = await self._door.flush(key, self._writes())
        except Away as away:
            self._failures += 1
            self._report(str(away))
            return
        self._failures = 0
        self._report(problem)
        if self._door.refused(said):
            return
        if owed:
            self._taken = rearmed
        elif look and not killed:
            await self._look_at(said)

    def _writes(self) -> list[Command]:
        """The hash is written anew, so that no field outlives what it was about."""
        values, absent = self._pipeline_keys()
        fields = flat(self._status())
        return [
            ("MSET", *(part for pair in values.items() for part in pair)),
            ("DEL", STATUS, *absent),
            ("HSET", STATUS, *(part for pair in fields.items() for part in pair)),
            ("EXPIRE", STATUS, STATUS_EXPIRES_S),
        ]

    def _pipeline_keys(self) -> tuple[dict[str, str | int | float], list[str]]:
        """The counters by their keys, and the keys of times that are not: nothing passed there yet."""
        counters = self._counters
        ticks = "pipeline:market_ticks:market"
        values: dict[str, str | int | float] = {
            f"{ticks}:count": counters.ticks,
            f"{ticks}:per_second": round(counters.per_second, 1),
        }
        times = {f"{ticks}:last_time": counters.last_tick_ns()}
        for stage, by_broker in counters.passed.items():
            for broker in self._brokers:
                count = by_broker.get(broker)
                values[f"pipeline:{stage}:{broker}:count"] = count.number if count else 0
                times[f"pipeline:{stage}:{broker}:last_time"] = count.last_ns if count else 0
        values |= {name: to_ist(time_ns).isoformat() for name, time_ns in times.items() if time_ns}
        return values, [name for name, time_ns in times.items() if not time_ns]

    async def _look_at(self, value: object) -> None:
        """What the key said while trading was enabled; where the switch has moved since, it is old."""
        if not self._obeying:
            if _is_kill(value):
                self._found_at_start = value
        elif self._switch.killed or self._owed():
            return
        elif _is_kill(value):
            await self._kill(value)
        elif value is None:
            await self._put_right(("SET", KEY, 1, "NX"))  # not over a 0 that is being written right now
        elif value != "1":
            if value != self._odd:
                self._odd = value
                logger.warning("redis: {} is neither 0 nor 1 but {:.50}; it is put right", KEY, repr(value))
            await self._put_right(("GETSET", KEY, 1))  # what was there in that moment comes back

    async def _put_right(self, command: Command) -> None:
        try:
            (before,) = await self._door.send([command])
        except Away:
            return  # the next flush will say so
        if _is_kill(before):
            await self._kill(before)

    async def _kill(self, value: object) -> None:
        await self._switch.on(f"Redis key {KEY} is {value}", "redis")

    def _report(self, problem: str | None) -> None:
        """The log hears of a change, not of every second."""
        self.connected = problem is None
        if problem is not None:
            self.dropped += 1
        if problem == self._problem:
            return
        if problem is not None:
            logger.warning("redis does not take metrics, they are dropped until it does: {}", problem)
        elif self._problem:
            logger.info("redis is back; {} flushes were lost since the start", self.dropped)
        else:
            logger.info("redis takes metrics")
        self._problem = problem


def _is_kill(value: object) -> bool:
    text = value.decode(errors="replace") if isinstance(value, bytes) else value
    return isinstance(text, str) and text.strip().strip("\"'").lower() in KILL_WORDS


def flat(document: Mapping[str, Any]) -> dict[str, str | int | float]:
    """Nested names joined by dots, list items by their place; true is 1, false is 0, None is empty."""
    found: dict[str, str | int | float] = {}

    def walk(name: str, value: Any) -> None:
        match value:
            case Mapping():
                for inner, its_value in value.items():
                    walk(f"{name}.{inner}" if name else str(inner), its_value)
            case list() | tuple():
                for place, its_value in enumerate(value):
                    walk(f"{name}.{place}", its_value)
            case None:
                found[name] = ""
            case bool():
                found[name] = int(value)
            case int() | float():
                found[name] = value
            case _:
                found[name] = str(value)

    walk("", document)
    return found


def mirror(url: str, *, enabled: bool) -> str:
    """Write the key for a daemon that is stopped. Returns why Redis did not take it, empty when it did."""

    async def write() -> str:
        door = Door(url)
        try:
            (answer,) = await door.send([("SET", KEY, int(enabled))])
        finally:
            await door.close()
        if answer is True or answer == "OK":
            return ""
        return door.words(answer) if door.refused(answer) else "it does not answer like Redis"

    try:
        return anyio.run(write)
    except (Away, CannotStart) as error:
        return str(error)
