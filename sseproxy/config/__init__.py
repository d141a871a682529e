"""The configuration: a YAML file, or flags and environment, to one typed, checked Config."""

from sseproxy.config.clients import Credential
from sseproxy.config.fields import Address
from sseproxy.config.flags import Flags, config_from_flags
from sseproxy.config.load import InvalidConfigError, load_config
from sseproxy.config.model import BucketRule, Config
from sseproxy.config.render import render_config

__all__ = [
    "Address",
    "BucketRule",
    "Config",
    "Credential",
    "Flags",
    "InvalidConfigError",
    "config_from_flags",
    "load_config",
    "render_config",
]
