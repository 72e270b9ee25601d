"""Frames as no exchange would send them: the feed counts, goes on, and calls nothing by another's name."""

from contextlib import asynccontextmanager

import anyio
import msgspec
from feeding import HASTE, KEY, TOKEN, feeding, log_lines, until
from kite_packets import INFY_FULL
from msgspec.structs import replace
from random_frames import RandomFrames
from websockets.asyncio.server import serve

from alphapanda.events import Instrument
from alphapanda.kite.encode import HEARTBEAT, frame
from alphapanda.venues.zerodha.roots import roots_at
from alphapanda.venues.zerodha.session import Session
from alphapanda.venues.zerodha.ticker import SLICE


class Sender:
    """A ticker of a test's own: what it was told, and its open connections."""

    def __init__(self):
        self.heard = []
        self.paths = []
        self.open = []

    async def talk(self, socket):
        self.paths.append(socket.request.path)
        self.open.append(socket)
        async for text in socket:
            self.heard.append(msgspec.json.decode(text))

    def of(self, action):
        return [said["v"] for said in self.heard if said["a"] == action]


@asynccontextmanager
async def sender():
    talks = Sender()
    async with serve(talks.talk, "127.0.0.1", 0, compression=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        talks.roots = roots_at(f"http://127.0.0.1:{port}")
        yield talks


def share(number):
    return Instrument(number << 8 | 1, "NSE", f"S{number}")


def packet(instrument, price=157370):
    return instrument.instrument_token.to_bytes(4, "big") + price.to_bytes(4, "big") + INFY_FULL[8:]


def test_M38_random_frames_are_counted_and_the_next_good_one_is_taken():  # noqa: N802 - the fault's name
    one = share(1)

    async def main():
        async with sender() as talks, feeding(talks.roots, [one]) as watched:
            await until(lambda: talks.of("mode"))
            (socket,) = talks.open
            frames = RandomFrames(20260415)
            for number in range(400):
                await socket.send(frames.next())
                if number % 40 == 0:
                    await socket.send(frame([packet(one, 10_000 + number)]))
            await socket.send("<html>upstream connect error</html>")
            await socket.send("[" * 10_000)
            await socket.send('{"type":7}')
            await socket.send(b"")
            await socket.send(frame([packet(one, 99_900)]))
            await until(lambda: watched.ticks.get(257) and watched.ticks[257].last_price == 999.0)
            assert [tick.last_price for batch in watched.batches for tick in batch.ticks] == [
                *(100 + number / 100 for number in range(0, 400, 40)),
                999.0,
            ]
            summary = watched.summary
            assert summary["malformed"] > 100
            assert summary["dropped"] > 100, "packets of instruments that were never subscribed"
            assert (summary["connected"], summary["reconnects"]) == (1, 0)

    anyio.run(main)


def test_a_packet_of_another_connections_instrument_is_dropped():
    one, other = share(1), share(2)

    async def main():
        async with sender() as talks, feeding(talks.roots, [one, other], each=1) as watched:
            await until(lambda: len(talks.of("mode")) == 2)
            first, second = talks.open
            await first.send(frame([packet(one), packet(other), packet(share(3))]))
            await second.send(frame([packet(one), packet(other), packet(share(3))]))
            await watched.whole_again(1)
            assert sum(len(batch.ticks) for batch in watched.batches) == 2
            assert watched.summary["dropped"] == 4

    anyio.run(main)


def test_a_large_frame_is_handed_on_in_slices_and_others_run_in_between():
    many = [share(number) for number in range(1, 1_001)]
    log = []

    async def main():
        async with sender() as talks, feeding(talks.roots, many) as watched:
            publish = watched.publish

            def first_of_all(batch):
                log.append(len(batch.ticks))
                publish(batch)
                woken.set()

            async def decides():
                await woken.wait()
                log.append("decided")

            woken = anyio.Event()
            await until(lambda: len(talks.of("mode")) == 2)
            watched.feed._publish = first_of_all
            async with anyio.create_task_group() as group:
                group.start_soon(decides)
                await talks.open[0].send(frame([packet(each) for each in many]))
                await watched.whole_again(1)
            assert log == [SLICE, "decided", *[SLICE] * (1_000 // SLICE - 1), 1_000 % SLICE]
            assert len({batch.received_ns for batch in watched.batches}) == 1, "they came in one frame"
            assert [tick.instrument_token for batch in watched.batches for tick in batch.ticks] == [
                each.instrument_token for each in many
            ]

    anyio.run(main)


def test_what_is_wanted_is_said_in_messages_of_a_bearable_size_and_again_after_each_connect():
    many = [share(number) for number in range(1, 1_202)]
    tokens = [each.instrument_token for each in many]

    async def main():
        async with sender() as talks, feeding(talks.roots, many) as watched:
            for times in (1, 2):
                await until(lambda: len(talks.of("mode")) == 3 * times)  # noqa: B023 - awaited in its turn
                subscribed, modes = talks.of("subscribe")[-3:], talks.of("mode")[-3:]
                assert [token for each in subscribed for token in each] == tokens
                assert modes == [["full", each] for each in subscribed]
                assert max(map(len, subscribed)) <= 500
                await talks.open[-1].close(1012, "restart")
                await until(lambda: len(watched.lost) == times)  # noqa: B023 - awaited in its turn
            assert talks.paths == [f"/ws?api_key={KEY}&access_token={TOKEN}"] * len(talks.paths)

    anyio.run(main)


def test_heartbeats_alone_keep_a_connection_and_an_error_of_kites_is_logged_without_the_token():
    async def main():
        patience = replace(HASTE, silence_s=1.0)
        async with (
            sender() as talks,
            log_lines() as lines,
            feeding(talks.roots, [], Session(KEY, "canary/ with+odd=signs"), patience=patience) as watched,
        ):
            (socket,) = await until(lambda: list(talks.open))
            await socket.send(
                '{"type":"error","data":"Bad canary/ with+odd=signs canary%2F+with%2Bodd%3Dsigns"}'
            )
            await socket.send('{"type":"error","data":"' + "x" * 10_000 + '"}')
            for _ in range(15):
                await socket.send(HEARTBEAT)
                await anyio.sleep(0.1)
            assert not watched.lost
            assert watched.wake_ups == 1
            said = [line for line in lines if "the ticker says" in line]
            assert said[0].strip() == "WARNING the ticker says: Bad *** ***"
            assert len(said[1]) < 300
            await socket.send('{"type":"order","data":{"status":"COMPLETE"}}')
            await until(lambda: watched.wake_ups == 2)

    anyio.run(main)


def test_nobody_else_is_given_the_token_when_kite_redirects():
    asked = []

    async def main():
        async def elsewhere(_socket):
            asked.append("elsewhere")

        async with serve(elsewhere, "127.0.0.1", 0) as other:
            port = next(iter(other.sockets)).getsockname()[1]

            def redirect(connection, request):
                asked.append("here")
                answer = connection.respond(302, "there")
                answer.headers["Location"] = f"ws://127.0.0.1:{port}{request.path}"
                return answer

            async with serve(elsewhere, "127.0.0.1", 0, process_request=redirect) as server:
                port_here = next(iter(server.sockets)).getsockname()[1]
                async with (
                    log_lines() as lines,
                    feeding(roots_at(f"http://127.0.0.1:{port_here}"), [share(1)]),
                ):
                    await until(lambda: asked.count("here") > 1)
                assert "elsewhere" not in asked
                assert any("HTTP 302" in line for line in lines)

    anyio.run(main)
