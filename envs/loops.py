"""All compiled loops of the simulators in one place.

Loading this module loads numba, which takes a while: it is imported when the first simulator draws, not with
`kofn.envs`.
"""

from kofn.envs.agent_kernel import UNSURE, guides_of, step_agents
from kofn.envs.block_tables import blocks_of, ways_of
from kofn.envs.crowd_kernel import prepare_laws, sample_crowds, spread_cells, step_crowds, step_global
from kofn.envs.side_by_side import WORTH_THREADS, parts, side_by_side
from kofn.envs.xoshiro import new_key

__all__ = [
    "UNSURE",
    "WORTH_THREADS",
    "blocks_of",
    "guides_of",
    "new_key",
    "parts",
    "prepare_laws",
    "sample_crowds",
    "side_by_side",
    "spread_cells",
    "step_agents",
    "step_crowds",
    "step_global",
    "ways_of",
]
