"""`kofn.envs.compiled` under the name it has for agents."""

from kofn.envs.compiled import compiled, compiled_for_threads

__all__ = ["compiled", "compiled_for_threads"]
