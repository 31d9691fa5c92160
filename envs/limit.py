"""Limit: the number k of local agents that the global agent sees, fixed for the life of an environment.

Spaces, samples and policies depend on k, so that setting it afterwards would leave them at the old one without a word.

>>> class View:
...     k = Limit()
>>> view = View()
>>> view.k = 3
>>> view.k
3
>>> view.k = 4  # doctest: +ELLIPSIS
Traceback (most recent call last):
AttributeError: k cannot change, as spaces and policies depend on it: it is 3, and 4 was asked for; make ...
"""

from typing import Any


class Limit:
    """A descriptor: k, given once by the constructor.

    Args:
        given: False where the class has no k of its own (a wrapper, or an environment without a limit): reading it then
            goes on to what is wrapped, and setting it is refused from the beginning.
    """

    def __init__(self, given: bool = True) -> None:
        self._given = given

    def __get__(self, instance: Any, owner: type | None = None) -> int:
        """The limit; AttributeError where there is none, which lets wrappers ask on."""
        if instance is None or "k" not in vars(instance):
            raise AttributeError("k: there is no limit on the agents seen here")
        k: int = vars(instance)["k"]
        return k

    def __set__(self, instance: Any, value: Any) -> None:
        """Set it, once."""
        if not self._given or "k" in vars(instance):
            current = getattr(instance, "k", None)
            said = f"it is {current}, and " if current is not None else ""
            raise AttributeError(
                f"k cannot change, as spaces and policies depend on it: {said}{value!r} was asked for; "
                "make the environment anew with that k"
            )
        vars(instance)["k"] = value
