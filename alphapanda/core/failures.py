"""A strategy's failure, in words that every table, log and journal can hold."""

from collections import deque

MOST_PLACES = 10
"""Of a traceback; an endless recursion has a thousand."""


def in_words(error: BaseException) -> str:
    """One line that the journal can hold; an error of somebody else's may not even have words."""
    try:
        words = str(error)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - whatever it is, the words are missing
        words = "what cannot be put into words"
    line = " ".join(f"{type(error).__name__}: {words}".encode(errors="replace").decode().split())
    return "".join(character for character in line if character.isprintable())


def places_of(error: BaseException) -> tuple[str, ...]:
    """Where it was raised, the innermost place last, without the caller's own."""
    places: deque[str] = deque(maxlen=MOST_PLACES)
    place = error.__traceback__.tb_next if error.__traceback__ is not None else None
    while place is not None:
        code = place.tb_frame.f_code
        places.append(f"{code.co_filename}, line {place.tb_lineno}, in {code.co_qualname}")
        place = place.tb_next
    return tuple(places)
