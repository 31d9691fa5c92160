"""A stream of random words, as the compiled loops draw them."""

import numpy as np
import numpy.typing as npt

from kofn.envs import loops


def stream(seed: int) -> npt.NDArray[np.uint64]:
    return loops.new_key(np.random.default_rng(seed))
