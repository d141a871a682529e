"""The start without a file: a Config from flags and two environment variables.

The AWS_* key is client, store key, service account and sole administrator; a line of the
credentials file with two fields uses the same pair at the store, never AWS_* (keys.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sseproxy.config.check import check
from sseproxy.config.clients import Credential, parse_credential_lines
from sseproxy.config.fields import Sources, parse_access_key, read_text
from sseproxy.config.load import InvalidConfigError, Loc, findings
from sseproxy.config.model import Config
from sseproxy.errors import ConfigError
from sseproxy.secret import Secret

ACCESS_KEY_ENV = "AWS_ACCESS_KEY_ID"
SECRET_KEY_ENV = "AWS_SECRET_ACCESS_KEY"  # noqa: S105  # the name of a variable

# What a setting is called here, for messages.
_NAMES: dict[Loc, str] = {
    ("store",): "--store",
    ("store", "endpoint"): "--store",
    ("listen",): "--listen",
    ("admin", "listen"): "--admin-listen",
    ("default_encryption",): "--default-encryption",
    ("state",): "--state",
    ("tls",): "--tls-cert",
    ("tls", "cert"): "--tls-cert",
    ("tls", "key"): "--tls-key",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """The flags of `sseproxy serve` that stand for a YAML; each is --its-name."""

    store: str
    state: Path
    listen: str = "127.0.0.1:8080"
    admin_listen: str = "127.0.0.1:8081"
    default_encryption: str = "none"
    credentials: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    allow_insecure_ssec: bool = False


def config_from_flags(flags: Flags, environ: Mapping[str, str]) -> Config:
    """The configuration that the flags and the environment say, checked as one from a YAML.

    Relative paths start at the working directory. Raises InvalidConfigError with every error; `key`
    is the flag or variable.
    """
    problems: list[ConfigError] = []
    own = _own_key(environ, problems)
    credentials = [own, *_file_credentials(flags.credentials, problems)]
    if (flags.tls_cert is None) != (flags.tls_key is None):
        missing = "--tls-key" if flags.tls_key is None else "--tls-cert"
        problems.append(ConfigError("--tls-cert and --tls-key go together", key=missing))
    document: dict[str, Any] = {
        "store": {"endpoint": flags.store},
        "state": flags.state,
        "listen": flags.listen,
        "admin": {"listen": flags.admin_listen},
        "default_encryption": flags.default_encryption,
        "credentials": credentials,
        "service_account": {"access_key": own.access_key, "secret": own.secret},
        "administrators": [own.access_key],
        "allow_insecure_ssec": flags.allow_insecure_ssec,
    }
    if flags.tls_cert is not None and flags.tls_key is not None:
        document["tls"] = {"cert": flags.tls_cert, "key": flags.tls_key}
    try:
        config = Config.model_validate(document, context=Sources(Path.cwd(), environ))
        wrong = check(config, own_service_account=False)
    except ValidationError as error:
        wrong = findings(error)
    problems += [ConfigError(message, key=_name(loc)) for loc, message in wrong]
    if problems:
        raise InvalidConfigError(problems) from None
    return config


def _own_key(environ: Mapping[str, str], problems: list[ConfigError]) -> Credential:
    access_key, secret = environ.get(ACCESS_KEY_ENV, ""), environ.get(SECRET_KEY_ENV, "")
    for name, value in ((ACCESS_KEY_ENV, access_key), (SECRET_KEY_ENV, secret)):
        if not value:
            problems.append(ConfigError("is not set in the environment", key=name))
    try:
        parse_access_key(access_key or "unset")
    except ValueError as error:
        problems.append(ConfigError(str(error), key=ACCESS_KEY_ENV))
        access_key = ""
    # A stand-in, so that the other settings are checked too; the problem above prevents its use.
    return Credential(access_key=access_key or "unset", secret=Secret(secret or "unset"))


def _file_credentials(path: Path | None, problems: list[ConfigError]) -> list[Credential]:
    if path is None:
        return []
    try:
        text = read_text(path)
    except ValueError as error:
        problems.append(ConfigError(str(error), key="--credentials"))
        return []
    credentials = []
    for line, entry in parse_credential_lines(text):
        if isinstance(entry, str):
            problems.append(ConfigError(entry, file=str(path), line=line, key="--credentials"))
        else:
            credentials.append(entry)
    return credentials


def _name(loc: Loc) -> str:
    if loc[:1] == ("credentials",):
        return "--credentials"
    return _NAMES.get(loc, ".".join(str(part) for part in loc))
