"""Opening the market: the catalogue or the data become listed instruments with their prices."""

from functools import partial

from msgspec.structs import replace

from alphapanda.errors import DataError
from alphapanda.exchange.listing import Listed, Listing
from alphapanda.exchange.market.catalogue import Catalogue
from alphapanda.exchange.market.chance import root_of
from alphapanda.exchange.market.course import Course
from alphapanda.exchange.market.day import Manner, Traded
from alphapanda.exchange.market.following import Proportion
from alphapanda.exchange.market.given import CourseGiven, Given
from alphapanda.exchange.market.hours import Hours
from alphapanda.exchange.market.market import Market
from alphapanda.exchange.market.recorded import Rows, priced, read_rows
from alphapanda.exchange.market.replayed import Replayed
from alphapanda.exchange.market.shares import SHARE_MOVES
from alphapanda.exchange.market.walk import Walk
from alphapanda.exchange.options import Options
from alphapanda.times import MINUTE_NS, SECOND_NS, day_of, to_ns
from alphapanda.venues.simulated.day import OPENS

USUAL_STEP_NS = SECOND_NS // 4
SPREAD_STEP_NS = SECOND_NS // 20
"""How often prices are looked at: by themselves, and when many instruments tick in turn."""
USUAL_VOLUME = 1_000_000
"""Of a day, before the first row of a file."""


def open_market(options: Options) -> Market:
    """The market that the options ask for. DataError when its data cannot be used."""
    catalogue = Catalogue(day_of(to_ns(OPENS)), options.instruments)
    if options.data:
        return _recorded(options, catalogue)
    starts_ns = to_ns(OPENS)
    listing = Listing(each.listed for each in catalogue.given)
    hours = Hours(catalogue.no_derivatives)
    courses = {
        given.name: _course(given, listing, hours, options.seed, day_of(starts_ns))
        for given in catalogue.courses.values()
    }
    walks = {each.listed.token: _walk(each, courses[each.course], hours, options) for each in catalogue.given}
    step_ns = USUAL_STEP_NS
    if options.ticks_per_second:
        step_ns = SECOND_NS // options.ticks_per_second if options.bursts else SPREAD_STEP_NS
        for walk in walks.values():
            walk.catch_up(starts_ns)  # now, and not when all of them are subscribed to at once
    return Market(listing, hours, walks, starts_ns=starts_ns, step_ns=step_ns)


def _course(given: CourseGiven, listing: Listing, hours: Hours, seed: int, starts: int) -> Course:
    kept = listing.by_key(given.hours_of)
    if kept is None:
        raise DataError(f"{given.name} keeps the hours of {given.hours_of}, which is not listed: list it")
    return Course(
        given.name,
        given.close,
        given.volatility,
        seed=seed,
        starts=starts,
        minutes=partial(_minutes, hours, kept),
    )


def _minutes(hours: Hours, listed: Listed, day: int) -> int:
    return len(hours.minutes(listed, day))


def _walk(given: Given, course: Course, hours: Hours, options: Options) -> Walk:
    root = root_of(options.seed, f"ticks of {given.listed.key}")
    manner = given.manner
    if options.ticks_per_second:
        manner = replace(manner, ticks=60 * options.ticks_per_second)
    traded = Traded(
        listed=given.listed,
        course=course,
        following=given.following,
        manner=manner,
        unit=given.unit,
        root=root,
    )
    phase_ns = 0 if options.bursts else (root >> 32) % MINUTE_NS
    if options.ticks_per_second:
        phase_ns -= phase_ns % SPREAD_STEP_NS
    return Walk(traded, hours, phase_ns=phase_ns)


def _recorded(options: Options, catalogue: Catalogue) -> Market:
    """The instruments of the files, from the first row inside a session on."""
    hours = Hours(catalogue.no_derivatives)
    known = [each.listed for each in catalogue.given]
    kept, notes = read_rows(options, known, hours)
    starts_ns = min(rows.times[0] for rows in kept)
    sources, everything = {}, []
    for rows in kept:
        listed = priced(rows)
        everything.append(listed)
        past = _past(listed, rows, hours, options.seed, day_of(starts_ns))
        sources[listed.token] = Replayed(rows, past, hours, day_of(starts_ns))
    listing = Listing(everything)
    return Market(listing, hours, sources, starts_ns=starts_ns, step_ns=USUAL_STEP_NS, notes=notes)


def _past(listed: Listed, rows: Rows, hours: Hours, seed: int, starts: int) -> Walk:
    """What the days before the exchange opens were, ending in the first price."""
    unit = rows.tick
    course = Course(
        listed.key,
        rows.opens[0] // unit,
        SHARE_MOVES,
        seed=seed,
        starts=starts,
        minutes=partial(_minutes, hours, listed),
    )
    traded = Traded(
        listed=listed,
        course=course,
        following=Proportion(),
        manner=Manner(volume=USUAL_VOLUME, queue=USUAL_VOLUME // 1000, ticks=60),
        unit=unit,
        root=root_of(seed, f"ticks of {listed.key}"),
    )
    return Walk(traded, hours, phase_ns=0)
