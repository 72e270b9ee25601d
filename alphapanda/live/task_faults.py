"""What a test does to a task: it raises, returns, hangs or lingers as soon as it is started. See
`fail_points`.
"""

from collections.abc import Awaitable, Callable

import anyio

from alphapanda.fail_points import FailPoint, fail, told

TASKS = {point.removeprefix("task_"): point for point in FailPoint if point.startswith("task_")}
"""By the name that a task has in `status`."""


async def as_told(name: str, run: Callable[[], Awaitable[None]]) -> None:
    """Run it, unless its fail point is armed."""
    action = told(TASKS[name])
    if not action:
        await run()
    elif action == "hang":
        await anyio.sleep_forever()
    elif action == "linger":
        with anyio.CancelScope(shield=True):
            await anyio.sleep_forever()
    elif action != "return":
        fail(TASKS[name], action)
