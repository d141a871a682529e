"""The kinds of values that settings have, each parsed once, where it is read.

A validator raises ValueError with a message for the operator; `load` adds file, line and key.
Relative paths are relative to the folder of the YAML, passed as the context's `folder`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import BeforeValidator, InstanceOf, ValidationInfo

from sseproxy.secret import Secret

_MAX_SECRET_BYTES = 64 * 1024

DefaultMode = Literal["none", "sse-cos", "sse-kms"]
Mode = Literal["none", "sse-cos", "sse-kms", "sse-c"]


@dataclass(frozen=True, slots=True)
class Sources:
    """What the validators may read: the folder of relative paths, and the environment."""

    folder: Path
    environ: Mapping[str, str]


class Address(NamedTuple):
    """Where to listen. Port 0 takes a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def sources(info: ValidationInfo) -> Sources:
    """The sources of a validation."""
    context = info.context
    assert isinstance(context, Sources)
    return context


def parse_address(value: Any) -> Address:
    """`HOST:PORT`, `[IPv6]:PORT` or `:PORT` (all interfaces)."""
    match = re.fullmatch(r"(\[(?P<v6>[0-9a-fA-F:.]+)\]|(?P<host>[^\[\]:/\s]*)):(?P<port>\d{1,5})",
                         value if isinstance(value, str) else "")  # fmt: skip
    if match is None or int(match["port"]) > 65535:
        raise ValueError("should be HOST:PORT, such as 127.0.0.1:8080")
    return Address(match["v6"] or match["host"] or "0.0.0.0", int(match["port"]))  # noqa: S104  # asked for by the operator


def parse_endpoint(value: Any) -> str:
    """`http://HOST[:PORT]` or https, nothing behind it."""
    parts = urlsplit(value if isinstance(value, str) else "")
    try:
        port_ok = parts.port != 0
    except ValueError:
        port_ok = False
    if parts.username is not None or parts.password is not None:
        raise ValueError("should hold no credentials: those go to service_account and credentials")
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_ok:
        raise ValueError("should be http://HOST[:PORT] or https://HOST[:PORT]")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("should have nothing behind the host and port")
    return f"{parts.scheme}://{parts.netloc.lower()}"


def parse_hook_url(value: Any) -> str:
    """`https://HOST[:PORT]/PATH`; http only to this machine, as secrets come back."""
    text = value if isinstance(value, str) and value.isascii() and value.isprintable() else ""
    parts = urlsplit(text)
    try:
        port_ok = parts.port != 0
    except ValueError:
        port_ok = False
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise ValueError("should hold no credentials (those go to `secret`) and no fragment")
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_ok or " " in text:
        raise ValueError("should be https://HOST[:PORT]/PATH")
    if parts.scheme == "http" and not _is_this_machine(parts.hostname):
        raise ValueError("should be https://, as secrets come back; http:// is for this machine")
    return text


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def parse_path(value: Any, info: ValidationInfo) -> Path:
    """A path; `~` is the home folder, relative ones start at the YAML's folder."""
    if not isinstance(value, (str, Path)) or not str(value).strip() or "\0" in str(value):
        raise ValueError("should be a path")
    return sources(info).folder / Path(value).expanduser()


def parse_secret(value: Any, info: ValidationInfo) -> Secret:
    """`{file: PATH}` or `{env: NAME}`; a secret written into the YAML is refused."""
    if isinstance(value, Secret):
        return value
    if not isinstance(value, dict):
        raise ValueError(
            "a secret is not written here: say where it is, {file: PATH} or {env: NAME}"
        )
    if len(value) != 1 or not isinstance(next(iter(value.values())), str):
        raise ValueError("should be either {file: PATH} or {env: NAME}")
    ((kind, where),) = value.items()
    if kind == "env":
        text = sources(info).environ.get(where, "")
        if not text.strip():
            raise ValueError(f"the environment variable {where} is not set")
    elif kind == "file":
        text = read_text(parse_path(where, info))
    else:
        raise ValueError("should be either {file: PATH} or {env: NAME}")
    text = text.strip()
    if not text:
        raise ValueError(f"the file {where} is empty")
    if not text.isprintable():
        raise ValueError(f"what {where} holds is not one line of text")
    return Secret(text)


def read_text(path: Path) -> str:
    """The text of a small file; ValueError (naming the path only) if it can't be read."""
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_SECRET_BYTES + 1)
        if len(content) > _MAX_SECRET_BYTES:
            raise ValueError(f"the file {path} is too long")
        return content.decode()
    except OSError as error:
        raise ValueError(f"the file {path} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"the file {path} is not UTF-8 text") from None


def parse_keyring_id(value: Any) -> bytes:
    """32 hex digits, 16 bytes. YAML takes digits alone for a number, so they need quotes."""
    if not isinstance(value, str):
        raise ValueError("should be 32 hex digits in quotes")
    if not re.fullmatch("[0-9a-fA-F]{32}", value):
        raise ValueError("should be 32 hex digits")
    return bytes.fromhex(value)


def parse_network(value: Any) -> str:
    """An IP address or network, `10.0.0.0/8`."""
    try:
        return str(ipaddress.ip_network(value if isinstance(value, str) else ""))
    except ValueError:
        raise ValueError("should be an IP address or network, such as 10.0.0.0/8") from None


def parse_domain(value: Any) -> str:
    """A DNS name, without a leading dot, scheme or port."""
    label = "[a-z0-9]([a-z0-9-]*[a-z0-9])?"
    text = value.lower() if isinstance(value, str) else ""
    if not re.fullmatch(rf"{label}(\.{label})*", text) or text.replace(".", "").isdigit():
        raise ValueError("should be a domain name, such as s3.example.com")
    return text


def parse_host(value: Any) -> str:
    """What a Host header may be: `HOST` or `HOST:PORT`, lower-cased."""
    text = value.lower() if isinstance(value, str) else ""
    if not re.fullmatch(r"(\[[0-9a-f:.]+\]|[a-z0-9]([a-z0-9._-]*[a-z0-9])?)(:\d{1,5})?", text):
        raise ValueError("should be HOST or HOST:PORT, as clients send it in their Host header")
    return text


def parse_access_key(value: Any) -> str:
    """An access key: what a signature's credential can carry."""
    if not isinstance(value, str):
        raise ValueError("should be a text; put a number in quotes")
    if not re.fullmatch(r"[!-.0-~]{1,128}", value):
        raise ValueError("should be 1 to 128 printable characters without spaces or '/'")
    return value


def parse_bucket_name(value: Any) -> str:
    """A bucket's name at the store."""
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}", value):
        raise ValueError("should be the name of a bucket (put a number in quotes)")
    return value


ListenAddress = Annotated[Address, BeforeValidator(parse_address)]
Endpoint = Annotated[str, BeforeValidator(parse_endpoint)]
HookUrl = Annotated[str, BeforeValidator(parse_hook_url)]
FilePath = Annotated[Path, BeforeValidator(parse_path)]
SecretValue = Annotated[InstanceOf[Secret], BeforeValidator(parse_secret)]
KeyringId = Annotated[bytes, BeforeValidator(parse_keyring_id)]
Network = Annotated[str, BeforeValidator(parse_network)]
Domain = Annotated[str, BeforeValidator(parse_domain)]
Host = Annotated[str, BeforeValidator(parse_host)]
AccessKey = Annotated[str, BeforeValidator(parse_access_key)]
BucketName = Annotated[str, BeforeValidator(parse_bucket_name)]
