"""Hooks of the documentation site (`mkdocs build --strict`).

* Environment pages are written from the game modules' docstrings, one per registered game, with a list of them.
* The API reference is read from the sources through links that form the namespace `kofn`.
* Links to files of the repository, which the site does not hold, become the page of that module where there is one, and
  plain text elsewhere, so that strict builds check every other link.
"""

import inspect
import re
from pathlib import Path
from typing import Any

from kofn.envs import GAMES, game_id
from kofn.envs.registration import game_module

ROOT = Path(__file__).parents[1]
PACKAGES = ("envs", "wrappers", "agents", "experiments")
SUBJECTS = {
    "observation_aware.md": "Responses that know they see k of n",
    "deep.md": "Continuous games and networks",
    "integrations.md": "Other people's learners",
}
"""Pages of single subjects: file -> its name in the menu."""
BEFORE_SUBJECTS = 6
"""Entries of the menu before them."""
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(\.\./([^)#]+)\)")


def on_startup(**_: Any) -> None:
    """Lay out the namespace `kofn` for mkdocstrings, which reads sources: the repository has no such folder."""
    namespace = ROOT / ".site" / "kofn"
    namespace.mkdir(parents=True, exist_ok=True)
    for package in PACKAGES:
        link = namespace / package
        if not link.is_symlink():
            link.symlink_to(ROOT / package, target_is_directory=True)


def on_config(config: Any, **_: Any) -> Any:
    """Put the pages of single subjects into the menu, those that are there."""
    found = [{title: page} for page, title in SUBJECTS.items() if (ROOT / "docs" / page).exists()]
    if config["nav"] is not None and found:
        config["nav"].insert(BEFORE_SUBJECTS, {"Subjects": found})
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the pages of the environments."""
    from mkdocs.structure.files import File  # noqa: PLC0415  # only where the site is built

    files.append(File.generated(config, "environments.md", content=overview()))
    for name in GAMES:
        files.append(File.generated(config, f"environments/{name}.md", content=environment_page(name)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Redirect links to files of the repository."""
    depth = page.file.src_uri.count("/")
    return LINK.sub(lambda match: redirected(match[1], match[2], depth), markdown)


def redirected(text: str, path: str, depth: int) -> str:
    """A link to a file of the repository as the site has it."""
    up = "../" * depth
    game = re.fullmatch(r"envs/(\w+)\.py", path)
    if game and game[1] in GAMES:
        return f"[{text}]({up}environments/{game[1]}.md)"
    package = path.split("/", maxsplit=1)[0]
    if package in PACKAGES:
        return f"[{text}]({up}api/{package}.md)"
    return text if text.startswith("`") else f"{text} (`{path}`)"


def overview() -> str:
    """The list of the games with their sizes."""
    rows = []
    for name in GAMES:
        sizes = game_module(name).DEFAULTS
        link = f"[{game_id(name)}](environments/{name}.md)"
        rows.append(f"| {link} | {title(name)} | {sizes.n_agents} | {sizes.k} | {sizes.max_cycles} |")
    head = "# Environments\n\nWritten from the games' docstrings; pictures are in the [gallery](gallery.md).\n"
    return "\n".join([head, "| id | game | n | k | steps |", "|---|---|---|---|---|", *rows, ""])


def title(name: str) -> str:
    """The first paragraph of a game's docstring."""
    return (inspect.getdoc(game_module(name)) or "").split("\n\n")[0].replace("\n", " ")


def environment_page(name: str) -> str:
    """A game's docstring as a page."""
    docstring = inspect.getdoc(game_module(name)) or ""
    _, _, rest = docstring.partition("\n\n")
    return f"# {game_id(name)}\n\n**{title(name)}**\n\n![{name}](../images/game_{name}.png)\n\n{rest}\n"
