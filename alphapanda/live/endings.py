"""How a run ends: what is still written down, and which of many errors is the one to tell."""

import anyio
from loguru import logger

from alphapanda.errors import CannotStart, Fatal
from alphapanda.store import Store

database = logger.bind(channel="database")

LAST_WORDS_S = 2.0


async def last_words(store: Store) -> None:
    """What is tapped is written down even when the line has failed; a store that failed says so itself."""
    with anyio.move_on_after(LAST_WORDS_S, shield=True):
        try:
            await store.commit()
        except Fatal as error:
            database.error("{}", error)


def first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that brought the others down: the first that means something to the operator."""
    leaves: list[BaseException] = []

    def collect(error: BaseException) -> None:
        if isinstance(error, BaseExceptionGroup):
            for inner in error.exceptions:
                collect(inner)
        else:
            leaves.append(error)

    collect(group)
    for kind in (CannotStart, Fatal, Exception):
        for leaf in leaves:
            if isinstance(leaf, kind):
                return leaf
    return leaves[0]
