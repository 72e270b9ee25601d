"""When a market is open: every weekday, 09:15 to 15:30 IST, until a dated table joins it; callers say so."""

DAY_S = 86_400
IST_S = 19_800
OPENS_S = 9 * 3600 + 15 * 60
CLOSES_S = 15 * 3600 + 30 * 60
THURSDAY = 3  # 1 January 1970
WEEKEND = (5, 6)


def in_regular_session(time_ns: int) -> bool:
    """Monday to Friday, from 09:15 up to but not at 15:30, IST."""
    day, second = divmod(time_ns // 1_000_000_000 + IST_S, DAY_S)
    return (day + THURSDAY) % 7 not in WEEKEND and OPENS_S <= second < CLOSES_S
