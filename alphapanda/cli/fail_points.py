"""fail-points: the places at which a test can make the daemon die."""

from alphapanda.cli.options import Json
from alphapanda.cli.output import print_json, print_table


def fail_points(json: Json = False) -> None:
    """The places at which a test makes the daemon die.

    Or raise, or stall: ALPHAPANDA_FAIL_AT=after_commit:3 ends it at the third commit, as kill -9 does.

    Example: alphapanda fail-points
    """
    from alphapanda.fail_points import FailPoint

    if json:
        print_json([{"name": point, "met": point.met.value, "when": point.when} for point in FailPoint])
        return
    rows = [(str(point), point.met.value, point.when) for point in FailPoint]
    print_table("Fail points", ["name", "met by", "when"], rows)
