"""Write the gallery, one paragraph and one picture per registered game: `python docs/gallery.py`.

The paragraph is the game's own description, the picture a frame of a rollout in which everybody acts at random.
"""

import argparse
import inspect
import re
from pathlib import Path

from matplotlib.image import imsave

from kofn.envs import GAMES, game_id
from kofn.envs.registration import Defaults, game_module
from kofn.wrappers.factory import make_parallel

FOLDER = Path(__file__).parent
HEAD = """# Gallery

Every registered game, drawn in a rollout in which everybody acts at random; written by `python docs/gallery.py`. Each
module's docstring is its specification.
"""


def main() -> None:
    """Draw and describe every game."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--n-steps", type=int, default=6, help="steps played before the picture")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    (arguments.folder / "images").mkdir(parents=True, exist_ok=True)
    for name in GAMES:
        imsave(arguments.folder / "images" / f"game_{name}.png", frame(name, arguments.n_steps, arguments.seed))
    (arguments.folder / "gallery.md").write_text(page(), encoding="utf-8")


def frame(name: str, n_steps: int, seed: int):
    """The picture of a game after some steps, uint8 [row, column, 3]."""
    defaults: Defaults = game_module(name).DEFAULTS
    env = make_parallel(game=name, n_agents=defaults.n_agents, k=defaults.k, render_mode="rgb_array")
    env.reset(seed=seed)
    for index, agent in enumerate(env.possible_agents):
        env.action_space(agent).seed(seed + index)
    for _ in range(n_steps):
        env.step({agent: env.action_space(agent).sample() for agent in env.agents})
    picture = env.render()
    env.close()
    return picture


def page() -> str:
    """The text of the gallery."""
    return HEAD + "".join(entry(name) for name in GAMES)


def entry(name: str) -> str:
    """One game: its id, its first sentence, its description, its sizes and its picture."""
    module = game_module(name)
    docstring = inspect.getdoc(module) or ""
    title = docstring.split("\n\n")[0].replace("\n", " ")
    described = re.search(r"## Description\n(.*?)\n\n", docstring, flags=re.DOTALL)
    assert described is not None, f"{name} has no description"
    sizes = module.DEFAULTS
    return f"""
## {game_id(name)}

**{title}**

{described[1]}

n = {sizes.n_agents}, k = {sizes.k}, {sizes.max_cycles} steps; [envs/{name}.py](../envs/{name}.py).

![{title}](images/game_{name}.png)
"""


if __name__ == "__main__":
    main()
