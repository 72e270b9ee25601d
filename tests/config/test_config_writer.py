"""The config.toml in the repository is what `render` writes, and says the defaults and nothing else."""

import tomllib
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphapanda.config import EXAMPLE, KEYS, ConfigError, Loaded, Settings, layers, load, render
from alphapanda.config.checks import check_settings, check_values

REPOSITORY = Path(__file__).parents[2]
TEXT = st.text(max_size=12).filter(lambda text: text.isprintable())
WORDS = st.lists(TEXT, max_size=3)
MONEY = st.decimals(0, 10**9, places=2).map(float) | st.integers(0, 10**9)
COUNT = st.integers(0, 10**6)
ID = st.from_regex(r"[A-Za-z0-9_-]{1,32}", fullmatch=True)
INSTRUMENTS = st.lists(
    st.from_regex(r"NSE:[A-Z0-9&-]{1,9}", fullmatch=True), min_size=1, max_size=3, unique=True
)
SPEED = st.floats(0.001, 1e6) | st.just("max")
PARAMS = st.dictionaries(TEXT, MONEY | TEXT | st.booleans() | st.lists(COUNT, max_size=2), max_size=3)

STRATEGY = st.fixed_dictionaries(
    {"id": ID}, optional={"instruments": INSTRUMENTS, "enabled": st.booleans(), "params": PARAMS}
)
SCOPE = st.fixed_dictionaries(
    {"broker": st.sampled_from(["paper", "zerodha"])},
    optional={"instrument": st.from_regex(r"NSE:[A-Z0-9&-]{1,9}", fullmatch=True)},
)
OVERRIDES = st.lists(
    st.fixed_dictionaries({"scope": SCOPE, "max_order_value": MONEY}, optional={"max_order_quantity": COUNT}),
    max_size=2,
    unique_by=lambda entry: str(entry["scope"]),
)
VALID = st.fixed_dictionaries(
    {},
    optional={
        "environment": TEXT.filter(bool),
        "feed": st.fixed_dictionaries(
            {},
            optional={
                "source": st.sampled_from(["simulated", "replay"]),
                "simulated": st.fixed_dictionaries(
                    {"seed": COUNT, "volatility": st.decimals(0, 10, places=2).map(float), "speed": SPEED}
                ),
                "replay": st.fixed_dictionaries(
                    {"paths": WORDS, "columns": WORDS, "skip_bad_rows": st.booleans()}
                ),
            },
        ),
        "risk": st.fixed_dictionaries(
            {},
            optional={
                "max_order_quantity": COUNT,
                "max_order_value": MONEY,
                "max_position_value": MONEY,
                "overrides": OVERRIDES,
            },
        ),
        "strategies": st.lists(STRATEGY, max_size=3, unique_by=lambda entry: entry["id"]),
        "monitoring": st.fixed_dictionaries({"health_check_interval": st.floats(0.001, 1e9)}),
        "control": st.fixed_dictionaries({"group": TEXT}),
        "alerts": st.just({}),
    },
)


def parsed(text: str) -> Settings:
    return msgspec.convert(tomllib.loads(text), Settings)


def place_of(key: str) -> str:
    return key


def test_the_config_of_the_repository_is_what_render_writes():
    assert (REPOSITORY / "config.toml").read_text(encoding="utf-8") == render()


def test_the_rendered_text_says_exactly_the_defaults_and_the_example():
    assert parsed(render()) == EXAMPLE
    assert {entry.class_: entry.id for entry in EXAMPLE.strategies} == {
        "strategies.momentum:MomentumStrategy": "momentum_1",
        "strategies.mean_reversion:MeanReversionStrategy": "mean_reversion_1",
        "strategies.opening_range:OpeningRangeStrategy": "opening_range_1",
    }
    assert {entry.brokers for entry in EXAMPLE.strategies} == {("paper",)}
    named = [key for entry in EXAMPLE.strategies for key in entry.instruments]
    assert len(named) == len(set(named)) == 10
    assert parsed(render(Settings())) == Settings()


def test_every_key_is_there_with_a_comment_above_it():
    lines = render().splitlines()
    for name in KEYS:
        if name != "strategies":
            key = name.rpartition(".")[2]
            places = [
                index for index, line in enumerate(lines) if line.removeprefix("# ").startswith(f"{key} = ")
            ]
            assert places, name
            assert all(lines[index - 1].startswith("# ") and len(lines[index - 1]) > 6 for index in places), (
                name
            )


def test_keys_that_are_off_are_commented_out():
    text = render()
    for line in ("# max_position_value = 0.0", '# api_key = ""', "# urls = []", "# paths = []"):
        assert f"\n{line}\n" in text
    assert "\nmax_order_value = 500000.0\n" in text
    assert all(len(line) <= 110 for line in text.splitlines())


def test_uncommenting_a_key_that_is_off_changes_nothing():
    keys = {name.rpartition(".")[2] for name in KEYS}
    lines = [
        line[2:] if line.startswith("# ") and line[2:].partition(" = ")[0] in keys else line
        for line in render().splitlines()
    ]
    assert parsed("\n".join(lines)) == EXAMPLE


def test_a_limit_that_was_switched_off_is_written():
    off = parsed("[risk]\nmax_order_quantity = 0\nmax_order_value = 0")
    assert parsed(render(off)) == off


@pytest.mark.parametrize("env", [None, "production"])
def test_both_configurations_of_the_repository_load(env):
    loaded = load(REPOSITORY / "config.toml", env=env, environ={})
    assert loaded.settings.environment == (env or "development")
    assert [entry.id for entry in loaded.settings.strategies] == [
        "momentum_1",
        "mean_reversion_1",
        "opening_range_1",
    ]


def test_the_production_overlay_has_only_what_differs():
    loaded = load(REPOSITORY / "config.toml", env="production", environ={})
    settings = loaded.settings
    assert settings.storage.path == "/var/lib/alphapanda/alphapanda.db"
    assert (settings.control.socket, settings.control.kill_file) == (
        "/run/alphapanda/control.sock",
        "/var/lib/alphapanda/KILL",
    )
    assert settings.logging.logs_dir == "/var/log/alphapanda"
    assert list(loaded.origins.values()).count("config.production.toml") == 5


@given(VALID)
def test_any_valid_settings_survive_being_written_and_read(values):
    check_values(values, place_of)
    original = msgspec.convert(values, Settings)
    check_settings(original, place_of, credentials=True)
    assert parsed(render(original)) == original


ODD = r"""
0 -1 1e999 nan -inf true "" "x" 'a\b' [] [[]] {} {a=1} 1979-05-27 07:32:00 1e308 -0.0 1_0 0x1F
"\u0000" "\U0001F43C" "zerodha" "replay" ["paper"] ["zerodha"] ["NSE:A",1] [{id="a"}] [{id="a",brokers="x"}]
"""
VALUES = st.sampled_from(ODD.split()) | st.just("9" * 400)


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """config.toml with a few cuts, insertions, swapped values or lines out of place."""
    text = render()
    for _ in range(draw(st.integers(1, 4))):
        lines = text.split("\n")
        at = draw(st.integers(0, len(lines) - 1))
        new = draw(
            st.sampled_from(
                [
                    "",
                    "[risk]",
                    "[[risk]]",
                    "[[risk.overrides]]",
                    "[a.b]",
                    "x = 1",
                    "feed = 1",
                    "[[strategies]]",
                    '"""',
                    "'",
                ]
            )
            | st.text(max_size=20).filter(lambda line: line.isprintable())
        )
        match draw(st.sampled_from(["line", "value", "key", "cut", "insert"])):
            case "line":
                lines[at] = new
            case "value":
                value = draw(VALUES)
                lines[at] = f"{lines[at].partition(' = ')[0].removeprefix('# ')} = {value}"
            case "key":
                lines[at] = new + lines[at]
            case "cut":
                del lines[at : at + draw(st.integers(1, 9))]
            case _:
                lines.insert(at, new)
        text = "\n".join(lines) or " "
    return text


def loads_or_says_why(path: Path, environ: dict[str, str]) -> None:
    try:
        loaded = load(path, environ=environ)
    except ConfigError as error:
        assert str(error).isprintable()  # noqa: PT017 - one line whatever was in the file
        assert len(str(error)) > 10  # noqa: PT017 - as above
    else:
        assert isinstance(loaded, Loaded)
        repr(loaded)


@settings(max_examples=300, deadline=None)
@given(damaged())
def test_a_damaged_config_either_loads_or_says_why(text):
    with TemporaryDirectory() as folder:
        path = Path(folder, "config.toml")
        path.write_text(text, encoding="utf-8")
        loads_or_says_why(path, {})


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_at_all_either_load_or_say_why(content):
    with TemporaryDirectory() as folder:
        path = Path(folder, "config.toml")
        path.write_bytes(content)
        loads_or_says_why(path, {})


NAMES = st.sampled_from([key.variable for key in KEYS.values()] + ["ALPHAPANDA__FEED", "ALPHAPANDA__RISK__X"])


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(NAMES, st.text(max_size=20) | VALUES, max_size=3))
def test_any_variables_either_load_or_say_why(environ):
    loads_or_says_why(REPOSITORY / "config.toml", environ)


@given(st.sampled_from(sorted(KEYS)), TEXT, COUNT, MONEY, st.booleans())
def test_a_value_survives_the_way_through_a_variable(name, text, count, money, flag):
    key = KEYS[name]
    values = {str: text, int: count, bool: flag, float: money, Decimal: money}
    value = values.get(key.type, key.default)
    written = value if isinstance(value, str) else in_toml(value)
    (layer,) = layers.from_environment({key.variable.lower(): written})
    found = layers.lookup(layer.values, name)
    if isinstance(value, str) and value[:1] in ("'", '"'):
        assert isinstance(found, str)  # text in quotes may mean what is between them
    else:
        assert found == (list(value) if isinstance(value, tuple) else value)


def in_toml(value: object) -> str:
    return repr(list(value)) if isinstance(value, tuple) else str(value).lower()
