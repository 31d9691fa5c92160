"""Games and simulators. Importing this package registers every environment id.

`TabularGame` is a game as four arrays; `PopulationEnv` makes any of them a PettingZoo environment.
"""

from kofn.envs.game import Labels, TabularGame
from kofn.envs.parallel import PopulationEnv
from kofn.envs.policies import GlobalPolicy, LocalPolicy
from kofn.envs.registration import GAMES, game_id, register_all
from kofn.envs.simulator import IndividualSimulator, LumpedSimulator
from kofn.envs.start_law import DirichletStart, FixedStart
from kofn.envs.streams import Streams

register_all()

__all__ = [
    "GAMES",
    "DirichletStart",
    "FixedStart",
    "GlobalPolicy",
    "IndividualSimulator",
    "Labels",
    "LocalPolicy",
    "LumpedSimulator",
    "PopulationEnv",
    "Streams",
    "TabularGame",
    "game_id",
]
