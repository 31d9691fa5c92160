"""Games and simulators. Importing this package registers every environment id.

`TabularGame` is a game as four arrays (its rewards may be a `RewardLaw`), `GenerativeGame` one as four functions;
`PopulationEnv` makes any of them a PettingZoo environment.
"""

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

register_all()

__all__ = [
    "GAMES",
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
]
