"""The one judge of campaigns, crash tests and fault rows: the invariants I1 to I20, held against evidence.

    from oracle.evidence import Evidence
    from oracle.judge import judge

    broken = judge(Evidence(stores=[folder / "var/alphapanda.db"], history=server.history(), settled=True))
    assert not broken, broken

What the evidence cannot decide is said by `judged`, and is broken for `judge` where it was asked for by name:
`judge(evidence, decided=("I1", "I6"))`.
"""

from collections.abc import Callable, Iterable, Iterator

from msgspec import Struct
from oracle import (
    book_invariants,
    control_invariants,
    market_invariants,
    order_invariants,
    process_invariants,
)
from oracle.evidence import Evidence
from oracle.facts import Facts, Undecided

Invariant = Callable[[Facts], Iterator[str]]
"""Yields a sentence for each breach that the facts prove. Raises Undecided where they prove nothing."""

INVARIANTS: dict[str, Invariant] = {
    "I1": order_invariants.i1,
    "I2": order_invariants.i2,
    "I3": order_invariants.i3,
    "I4": book_invariants.i4,
    "I5": order_invariants.i5,
    "I6": control_invariants.i6,
    "I7": control_invariants.i7,
    "I8": order_invariants.i8,
    "I9": market_invariants.i9,
    "I10": process_invariants.i10,
    "I11": process_invariants.i11,
    "I12": order_invariants.i12,
    "I13": book_invariants.i13,
    "I14": book_invariants.i14,
    "I15": process_invariants.i15,
    "I16": process_invariants.i16,
    "I17": control_invariants.i17,
    "I18": book_invariants.i18,
    "I19": process_invariants.i19,
    "I20": market_invariants.i20,
}


class Broken(Struct, frozen=True):
    """`invariant` is its number, such as "I5"; `what` one sentence with the order, row or figure."""

    invariant: str
    what: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.what}"


class Judgement(Struct, frozen=True):
    """`undecided` has, by invariant, what is missing in the evidence; all others were decided."""

    broken: list[Broken]
    undecided: dict[str, str]

    @property
    def decided(self) -> set[str]:
        return INVARIANTS.keys() - self.undecided.keys()


def judged(run: Evidence) -> Judgement:
    facts = Facts(run)
    broken: list[Broken] = []
    undecided: dict[str, str] = {}
    for name, invariant in INVARIANTS.items():
        try:
            for what in invariant(facts):
                broken.append(Broken(name, what))  # noqa: PERF401 - what was found before Undecided stays
        except Undecided as missing:
            if not any(each.invariant == name for each in broken):
                undecided[name] = str(missing)
    return Judgement(broken, undecided)


def judge(run: Evidence, *, decided: Iterable[str] = ()) -> list[Broken]:
    """What is broken; with one of `decided` that the evidence cannot decide, that as well."""
    found = judged(run)
    wanted = [name for name in decided if name in found.undecided]
    return found.broken + [Broken(name, f"undecided: {found.undecided[name]}") for name in wanted]
