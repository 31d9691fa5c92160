"""What to say when a library is not installed."""

RECIPES = {
    "stable_baselines3": "install kofn's extra 'deep': pip install 'kofn[deep]'",
    "torchrl": "install kofn's extra 'torchrl': pip install 'kofn[torchrl]'",
    "benchmarl": "in an environment of its own: pip install kofn torch benchmarl 'torchrl<0.11'",
    "ray": "in an environment of its own: pip install kofn torch 'ray[rllib]'",
    "tianshou": "in an environment of its own: pip install kofn torch tianshou",
    "agilerl": "in an environment of its own: pip install kofn torch agilerl peft",
}
"""How to get each library; the versions that were run are in `docs/integrations.md`."""


def not_installed(library: str) -> ImportError:
    """The error for a library that could not be imported."""
    return ImportError(f"this integration needs {library}, which is not installed; {RECIPES[library]}")
