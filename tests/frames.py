"""Frames of scenes, for the files test_render.py and test_pictures.py."""

import numpy as np

from kofn.envs.render import Renderer, Scene


def image_of(scene: Scene) -> np.ndarray:
    image = Renderer(4).render(scene, "rgb_array")
    assert isinstance(image, np.ndarray)
    return image


def text_of(scene: Scene) -> str:
    text = Renderer(4).render(scene, "ansi")
    assert isinstance(text, str)
    return text
