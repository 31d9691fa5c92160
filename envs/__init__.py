"""Games and simulators. Importing this package registers every environment id.

`TabularGame` is a game as four arrays (its rewards may be a `RewardLaw`), `GenerativeGame` one as four functions,
`ContinuousGame` one on intervals, `AggregateGame` one paid by a sum over all agents; `PopulationEnv` makes any of them
a PettingZoo environment. `with_types` joins games into one with several types of agents.
"""

from kofn.envs.aggregate import AggregateGame
from kofn.envs.continuous import ContinuousGame
from kofn.envs.game import TabularGame
from kofn.envs.generative import GenerativeGame, sampled_game
from kofn.envs.model import Game, Labels
from kofn.envs.parallel import PopulationEnv
from kofn.envs.policies import GlobalPolicy, LocalPolicy
from kofn.envs.registration import GAMES, game_id, register_all
from kofn.envs.reward_law import RewardLaw
from kofn.envs.simulator import IndividualSimulator, LumpedSimulator
from kofn.envs.start_law import DirichletStart, FixedStart
from kofn.envs.streams import Streams
from kofn.envs.types import with_types

register_all()

__all__ = [
    "GAMES",
    "AggregateGame",
    "ContinuousGame",
    "DirichletStart",
    "FixedStart",
    "Game",
    "GenerativeGame",
    "GlobalPolicy",
    "IndividualSimulator",
    "Labels",
    "LocalPolicy",
    "LumpedSimulator",
    "PopulationEnv",
    "RewardLaw",
    "Streams",
    "TabularGame",
    "game_id",
    "sampled_game",
    "with_types",
]
