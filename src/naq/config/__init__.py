"""Settings: one frozen, validated value, read once and passed down. Nothing else in naq reads the environment."""

from naq.config.load import load_config
from naq.config.model import Config, Durability, Settings
from naq.config.suggest import hint, suggest

__all__ = ["Config", "Durability", "Settings", "hint", "load_config", "suggest"]
