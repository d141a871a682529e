"""The annotated YAML that `sseproxy init` writes, and that `config/sseproxy.yaml` shows."""

from __future__ import annotations

import math
from string import Template

import yaml

from sseproxy.config.model import ROOT_KEY_FILE, SYSTEM_BUCKET

_TEMPLATE = Template("""\
# sseproxy configuration. Every setting is explained in docs/configuration.md.
# Check it with `sseproxy check-config`. Relative paths start at this file's folder.
# What is commented out shows the default, or an example where there is none.
# A secret is never written here: {file: PATH} or {env: NAME} says where it is.

# Where clients connect. Metrics and health are on a port of their own, not for clients.
listen: $listen
admin:
  listen: $admin_listen

# TLS towards clients; without it, SSE-C is refused (unless a trusted proxy ends TLS).
# tls:
#   cert: tls/server.pem
#   key: tls/server.key

# The object store behind the proxy.
store:
  endpoint: $endpoint
  region: $region
  # addressing: path            # path | virtual
  # ca: tls/store-ca.pem
  # timeouts:
  #   connect_s: 5
  #   first_byte_s: 60
  #   idle_s: 60

# The proxy's own bucket (keyring, settings) and its own key at the store. Deny this bucket to
# every other store key: `sseproxy init` prints the policies.
system_bucket: $system_bucket
service_account:
  access_key: $service_access_key
  secret: {env: $service_secret_env}

# The root key opens the keyring. Without it nothing encrypted can be read again: back it up,
# away from the store.
root_key: $root_key
$keyring_id
# Refuse an older keyring than this epoch, on workers that have seen none yet.
# min_epoch: 1
# Folder in which this machine remembers the highest epochs seen.
$state

# The clients: a line `ACCESS_KEY SECRET_KEY [STORE_ACCESS_KEY STORE_SECRET_KEY]` each. Give a
# client another key at the store than here: a store that knows a client's secret can sign as
# that client and ask the proxy for plaintext.
credentials: {file: $credentials_file}
# The same as a list:
# credentials:
#   - access_key: backup
#     secret: {file: secrets/backup}
#     store_access_key: backup-at-store
#     store_secret: {env: BACKUP_STORE_SECRET}
#   - access_key: temporary           # a session token has to come with every request
#     secret: {file: secrets/temporary}
#     session_token: {file: secrets/temporary-token}
#     store_access_key: temporary-at-store
#     store_secret: {file: secrets/temporary-at-store}
#     store_session_token: {file: secrets/temporary-token-at-store}

# Where other access keys are looked up: docs/configuration.md, "Credential hook".
# credential_hook:
#   url: https://keys.example.com/s3
#   secret: {env: HOOK_SECRET}
#   ca: tls/hook-ca.pem
#   timeout_s: 5
#   cache_s: 300

# Clients who may change a bucket's default encryption.
# administrators: [backup]

# How a write that asks for nothing is encrypted: none | sse-cos
default_encryption: $default_encryption

# Rules for single buckets.
# buckets:
#   photos:
#     encryption: sse-cos             # instead of default_encryption
#     require_encryption: read-write  # write | read-write: plaintext is neither taken nor served
#     allowed_modes: [sse-cos, sse-c] # of none, sse-cos, sse-kms, sse-c
#     block_sse_c: false
#     identity: photos                # the name objects are bound to; keep it when renaming
#   logs:
#     passthrough: true               # never encrypted; unknown operations pass

# Virtual-host style: BUCKET.s3.example.com
# domains: [s3.example.com]
# Accept these Host headers only.
# hosts: [s3.example.com]
# TLS terminators whose X-Forwarded-Proto is believed.
# trusted_proxies: [10.0.0.0/8]
# AWS Signature Version 2, which older clients sign with, and boto3 its pre-signed URLs.
# allow_sigv2: true
# SSE-C over plain HTTP: customer keys cross the network in clear.
# allow_insecure_ssec: false

# Listings with plaintext sizes and ETags, or with the store's own. exact | fast
# listing: exact

# What MinIO has below /minio/ (admin, health, metrics), through this port. refuse | pass
# store_paths: refuse

# limits:
#   max_requests: 1000
#   store_connections: 256
#   listing_heads: 32
#   attribute_cache: 100000
#   client_idle_s: 60
#   shutdown_s: 30

# log:
#   level: info                 # debug | info | warning | error
#   format: text                # text | json
""")


def render_config(
    *,
    endpoint: str = "http://127.0.0.1:9000",
    region: str = "us-east-1",
    listen: str = "127.0.0.1:8080",
    admin_listen: str = "127.0.0.1:8081",
    system_bucket: str = SYSTEM_BUCKET,
    service_access_key: str = "sseproxy",
    service_secret_env: str = "SSEPROXY_SERVICE_SECRET",  # noqa: S107  # the name of a variable
    root_key_file: str = ROOT_KEY_FILE,
    root_key_env: str | None = None,
    keyring_id: bytes | None = None,
    state: str | None = None,
    credentials_file: str = "clients.txt",
    default_encryption: str = "sse-cos",
) -> str:
    """The annotated YAML for these values, which may be any text.

    root_key_env: the variable with the root key, instead of the file; then keyring_id (16 bytes)
    is needed. Paths are written as given: relative ones start at the YAML's folder.
    """
    root_key = {"file": root_key_file} if root_key_env is None else {"env": root_key_env}
    state_line = "# state: state" if state is None else f"state: {_quoted(state)}"
    keyring_line = '# keyring_id: "32 hex digits; needed if root_key is {env: NAME}"'
    if keyring_id is not None:
        keyring_line = f"keyring_id: {_quoted(keyring_id.hex())}"
    return _TEMPLATE.substitute(
        endpoint=_quoted(endpoint),
        region=_quoted(region),
        listen=_quoted(listen),
        admin_listen=_quoted(admin_listen),
        system_bucket=_quoted(system_bucket),
        service_access_key=_quoted(service_access_key),
        service_secret_env=_quoted(service_secret_env),
        root_key="{"
        + ", ".join(f"{kind}: {_quoted(where)}" for kind, where in root_key.items())
        + "}",
        keyring_id=keyring_line,
        state=state_line,
        credentials_file=_quoted(credentials_file),
        default_encryption=default_encryption,
    )


def _quoted(text: str) -> str:
    """A YAML scalar, on one line, that is this text."""
    return yaml.safe_dump(text, default_style='"', width=math.inf).rstrip("\n")
