"""What several tests of the daemon's parts need: the lines of the log, and a Redis."""

import pytest
from loguru import logger
from redis_server import redis_server, shared_redis


@pytest.fixture
def logged():
    lines = []
    sink = logger.add(lines.append, format="{message}")
    yield lines
    logger.remove(sink)


@pytest.fixture
def patient(monkeypatch):
    """A stall of this machine is not a stall of Redis: 250 ms would be too strict a judge here."""
    monkeypatch.setattr("alphapanda.live.metrics.TIMEOUT_S", 1.5)
    monkeypatch.setattr("alphapanda.live.metrics.DEADLINE_S", 3.0)


@pytest.fixture
def redis(tmp_path, patient):
    """One for all tests of this process, empty."""
    with shared_redis(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def own_redis(tmp_path, patient):
    """One that may be stopped and killed."""
    with redis_server(tmp_path / "redis") as server:
        yield server
