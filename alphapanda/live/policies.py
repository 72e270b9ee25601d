"""The budget of every task: how often it may fail before the failure escalates."""

from alphapanda.live.supervisor import Supervision
from alphapanda.pipeline import Stage

POLICIES = {
    "control": Supervision(restarts=5, within_s=60),
    "store": Supervision(restarts=0, within_s=60),
    Stage.FEED: Supervision(restarts=0, within_s=600, may_end=True),
    Stage.STRATEGY: Supervision(restarts=0, within_s=300),
    Stage.RISK: Supervision(restarts=0, within_s=300),
    Stage.EXECUTION: Supervision(restarts=0, within_s=300),
    Stage.PORTFOLIO: Supervision(restarts=0, within_s=300),
    "zerodha": Supervision(restarts=0, within_s=60),
    "token": Supervision(restarts=1000, within_s=60, by_hand=True),
    "pulse": Supervision(restarts=1000, within_s=60, by_hand=True),
    "redis": Supervision(restarts=1000, within_s=60, by_hand=True),
}
"""How often each task may fail. Cores that raised may be half changed, so their stages are not restarted in
this process: the daemon leaves with exit code 1 and the next start builds new cores from the journal."""
