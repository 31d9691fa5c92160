"""All compiled loops of the simulators in one place.

Loading this module loads numba, which takes a while: it is imported when the first simulator draws, not with
`kofn.envs`.
"""

from kofn.envs.agent_kernel import pick_rows, step_agents
from kofn.envs.crowd_kernel import sample_crowds, spread_cells, step_crowds
from kofn.envs.side_by_side import parts, side_by_side
from kofn.envs.xoshiro import new_key

__all__ = [
    "new_key",
    "parts",
    "pick_rows",
    "sample_crowds",
    "side_by_side",
    "spread_cells",
    "step_agents",
    "step_crowds",
]
