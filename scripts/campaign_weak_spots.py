"""Two weak spots of the official client beside ours, in one run: the bad certificate and the mute peer."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from weak_spot_peers import bad_peers, mute_peers
from weak_spot_peers import certificates as made

CLIENTS = Path(__file__).with_name("weak_spot_clients.py")
OURS = ("Wire", "Books", "KiteFeed")
REST, TICKERS = ("KiteConnect", "Wire", "Books"), ("KiteTicker", "KiteFeed")
TRYING_S = 30.0
"""How long a client may take until it has tried every address once; imports are slow."""
OURS_S = 60.0
"""So long a mute peer may deceive ours before it counts as never noticed."""
AFTERWARDS_S = 1.0
"""What a client would still say once it has connected, comes within this."""
POLL_S = 0.02


@contextmanager
def client(name: str, urls: Mapping[str, str], folder: Path, **trust: str) -> Iterator[Path]:
    """The child, which does not outlive the block; the file of what it says."""
    said, log = folder / f"{name}.jsonl", folder / f"{name}.log"
    words = [f"{case}={url}" for case, url in urls.items()]
    with said.open("wb") as output, log.open("wb") as errors:
        child = subprocess.Popen(
            [sys.executable, CLIENTS, name, *words],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            env=os.environ | trust,
        )
    try:
        yield said
        if child.poll() is not None:
            raise SystemExit(f"campaign: the client {name} has ended: {log.read_text()[-2000:]}")
    finally:
        child.kill()
        child.wait(TRYING_S)


def certificates(folder: Path) -> list[dict[str, Any]]:
    """A row for each client and case: what the servers saw, and the client's last words."""
    authority = str(made(folder))
    names = REST + TICKERS
    with ExitStack() as open_:
        peers = {name: open_.enter_context(bad_peers(folder)) for name in names}
        said = {
            name: open_.enter_context(
                client(
                    name,
                    {case: f"https://127.0.0.1:{peer.port}" for case, peer in peers[name].items()},
                    folder,
                    SSL_CERT_FILE=authority,
                    REQUESTS_CA_BUNDLE=authority,
                )
            )
            for name in names
        }
        everyone = [peer for of_client in peers.values() for peer in of_client.values()]
        deadline = time.monotonic() + TRYING_S
        while time.monotonic() < deadline and not all(peer.token_read or peer.ended for peer in everyone):
            time.sleep(POLL_S)
        time.sleep(AFTERWARDS_S)
    return [
        {
            "client": name,
            "ours": name in OURS,
            "certificate": case,
            "tried": peer.tried,
            "connected": peer.connected > 0,
            "token_sent": peer.token_read,
            "said": last_words(said[name]).get(case, ""),
        }
        for name in names
        for case, peer in peers[name].items()
    ]


def last_words(said: Path) -> dict[str, str]:
    lines = [json.loads(line) for line in said.read_text().splitlines() if line.endswith("}")]
    return {line["case"]: line["said"] for line in lines}


def mute(folder: Path, seconds: float) -> list[dict[str, Any]]:
    """After how long without a frame each ticker closes the connection, both at once; the official one is
    waited for so many seconds.
    """
    with mute_peers(list(TICKERS)) as peers, ExitStack() as children:
        for name, peer in peers.items():
            children.enter_context(client(name, {"mute": f"http://127.0.0.1:{peer.port}"}, folder))
        deadline = time.monotonic() + TRYING_S
        while time.monotonic() < deadline and any(peer.silent_at is None for peer in peers.values()):
            time.sleep(POLL_S)
        silent = {name: peer.silent_at for name, peer in peers.items()}
        for name, at in silent.items():
            if at is None:
                raise SystemExit(f"campaign: {name} did not connect: {(folder / f'{name}.log').read_text()}")
        last = max(at for at in silent.values() if at is not None)
        ours = [peer for name, peer in peers.items() if name in OURS]
        while time.monotonic() < last + OURS_S and (
            time.monotonic() < last + seconds or any(peer.noticed_s() is None for peer in ours)
        ):
            time.sleep(POLL_S)
        found = {name: peer.noticed_s() for name, peer in peers.items()}
    return [
        {
            "client": name,
            "ours": name in OURS,
            "noticed_s": None if (took := found[name]) is None else round(took, 2),
        }
        for name in TICKERS
    ]


def weak_spots(seconds: float, *, silent: bool) -> int:
    """0 when ours is weak at none of them; what the official client does is shown, not judged."""
    with tempfile.TemporaryDirectory(prefix="weak-spots-") as folder:
        silence = Path(folder) / "mute"
        silence.mkdir()
        with ThreadPoolExecutor() as at_once:
            asleep = at_once.submit(mute, silence, seconds)
            rows = certificates(Path(folder))
            noticed = asleep.result()
    if not silent:
        print(_tables(rows, noticed, seconds))
    print(json.dumps({"certificates": rows, "mute_peer": noticed, "bound_s": seconds}))
    reached = all(row["token_sent"] for row in rows if row["certificate"] == "good")
    weak = [row for row in rows if row["ours"] and row["certificate"] != "good" and row["token_sent"]]
    deceived = [row for row in noticed if row["ours"] and row["noticed_s"] is None]
    return 1 if weak or deceived or not reached else 0


def _short(said: str) -> str:
    """The reason alone, where it is the certificate."""
    return said[max(said.find("certificate verify failed"), 0) :][:70]


def _tables(rows: list[dict[str, Any]], noticed: list[dict[str, Any]], seconds: float) -> str:
    words = {True: "yes", False: "no"}
    lines = [f"{'':12} {'certificate':12} {'connected?':>11} {'token sent?':>12}  it says"]
    lines += [
        f"{row['client']:12} {row['certificate']:12} {words[row['connected']]:>11} "
        f"{words[row['token_sent']]:>12}  {_short(row['said'])}"
        for row in rows
    ]
    lines += ["", f"{'':12} a peer that is mute after one frame, its TCP open"]
    for row in noticed:
        after = f"not within {seconds:g} s" if row["noticed_s"] is None else f"after {row['noticed_s']:.2f} s"
        lines.append(f"{row['client']:12} noticed {after}")
    return "\n".join(lines)
