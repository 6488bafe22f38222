"""A source opened for a test: its dataset and its episodes, all at once."""

from stages.sources.lerobot.dataset import load as load_lerobot


def load(name: str, uri: str, follow: bool = False):
    """(dataset, its episodes in a list)."""
    dataset, episodes = load_lerobot(name, uri, follow)
    return dataset, list(episodes)
