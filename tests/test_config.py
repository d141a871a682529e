"""The configuration: what it takes, what it refuses, and where it says the error is."""

from __future__ import annotations

import re
import traceback
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from sseproxy.config import (
    Address,
    Config,
    Credential,
    Flags,
    InvalidConfigError,
    config_from_flags,
    load_config,
    render_config,
)
from sseproxy.config.clients import parse_credential_lines
from sseproxy.config.load import parse_config
from sseproxy.errors import ConfigError
from sseproxy.secret import Secret

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "config" / "sseproxy.yaml"
DOCS = ROOT / "docs" / "configuration.md"
ENV = {"SERVICE": "service-secret", "CLIENT": "client-secret", "AT_STORE": "store-secret"}
AWS = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "own-secret"}

MINIMAL = """\
store:
  endpoint: http://127.0.0.1:9000
service_account:
  access_key: service
  secret: {env: SERVICE}
root_key: {file: root.key}
credentials:
  - access_key: client
    secret: {env: CLIENT}
    store_access_key: at-store
    store_secret: {env: AT_STORE}
"""


def parse(text: str, folder: Path = Path("/etc/sseproxy")) -> Config:
    return parse_config(text, folder / "sseproxy.yaml", ENV)


def problems(text: str, folder: Path = Path("/etc/sseproxy")) -> list[ConfigError]:
    with pytest.raises(InvalidConfigError) as caught:
        parse(text, folder)
    return list(caught.value.problems)


def the_problem(text: str) -> ConfigError:
    (problem,) = problems(text)
    return problem


# What it takes.


def test_the_minimum_and_its_defaults():
    config = parse(MINIMAL)
    assert config.listen == Address("127.0.0.1", 8080)
    assert config.admin.listen == Address("127.0.0.1", 8081)
    assert config.store.endpoint == "http://127.0.0.1:9000"
    assert config.store_host == "127.0.0.1:9000"
    assert config.service_account.secret == Secret("service-secret")
    assert config.root_key_file == Path("/etc/sseproxy/root.key")
    assert config.root_key_env is None
    assert config.default_encryption == "none"
    assert config.store_paths == "refuse"
    assert config.tls is None
    (client,) = config.credentials
    assert client.store_pair == ("at-store", Secret("store-secret"))
    assert not config.easy_mode


def test_everything_set():
    config = parse(
        MINIMAL.replace("root_key: {file: root.key}", "root_key: {env: ROOT}")
        + """\
keyring_id: "000102030405060708090a0b0c0d0e0f"
min_epoch: 3
listen: "[::1]:8443"
admin: {listen: ":9999"}
tls: {cert: tls/cert.pem, key: /abs/key.pem}
state: state
administrators: [client]
default_encryption: sse-cos
buckets:
  photos:
    encryption: sse-cos
    require_encryption: read-write
    allowed_modes: [sse-cos, sse-c]
    identity: old-photos
  logs: {passthrough: true}
domains: [S3.example.com]
hosts: ["s3.example.com:8443"]
trusted_proxies: [10.0.0.0/8, "::1"]
allow_sigv2: false
allow_insecure_ssec: true
credential_hook:
  url: https://keys.example.com:8443/s3?from=proxy
  secret: {env: CLIENT}
  ca: tls/hook.pem
  timeout_s: 1.5
  cache_s: 0
limits: {max_requests: 5, client_idle_s: 1}
listing: fast
store_paths: pass
log: {level: debug, format: json}
"""
    )
    assert config.store_paths == "pass"
    assert config.keyring_id == bytes(range(16))
    assert config.listen == Address("::1", 8443)
    assert str(config.listen) == "[::1]:8443"
    assert config.admin.listen == Address("0.0.0.0", 9999)
    assert config.tls is not None
    assert config.tls.cert == Path("/etc/sseproxy/tls/cert.pem")
    assert config.tls.key == Path("/abs/key.pem")
    assert config.root_key_env == "ROOT"
    assert config.root_key_file is None
    assert config.buckets["photos"].identity == "old-photos"
    assert config.buckets["photos"].allowed_modes == ["sse-cos", "sse-c"]
    assert config.domains == ["s3.example.com"]
    assert config.trusted_proxies == ["10.0.0.0/8", "::1/128"]
    assert not config.allow_sigv2
    hook = config.credential_hook
    assert hook is not None
    assert hook.url == "https://keys.example.com:8443/s3?from=proxy"
    assert (hook.secret, hook.ca) == (Secret("client-secret"), Path("/etc/sseproxy/tls/hook.pem"))
    assert (hook.timeout_s, hook.cache_s) == (1.5, 0)
    assert config.limits.max_requests == 5
    assert config.limits.store_connections == 256
    assert (config.listing, config.log.format) == ("fast", "json")


def test_session_tokens_of_both_sides():
    pair = "    store_access_key: at-store\n    store_secret: {env: AT_STORE}\n"
    token = "    session_token: {env: SERVICE}\n"
    (client,) = parse(MINIMAL + token).credentials
    assert (client.session_token, client.token_at_store) == (Secret("service-secret"), None)
    # The client's own triple at the store, where it has no other key there.
    (client,) = parse(MINIMAL.replace(pair, token)).credentials
    assert client.session_token == client.token_at_store == Secret("service-secret")
    (client,) = parse(MINIMAL + token.replace("session", "store_session")).credentials
    assert (client.session_token, client.token_at_store) == (None, Secret("service-secret"))
    problem = the_problem(MINIMAL.replace(pair, "    store_session_token: {env: AT_STORE}\n"))
    assert problem.key == "credentials[0]"
    assert "goes with store_access_key" in problem.message


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/", "http://[::1]/s3", "http://localhost", "https://h/a?b=c"]
)
def test_urls_of_a_credential_hook(url):
    config = parse(MINIMAL + f'credential_hook: {{url: "{url}"}}\n')
    assert config.credential_hook is not None
    assert (config.credential_hook.url, config.credential_hook.secret) == (url, None)
    assert parse(MINIMAL).credential_hook is None


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://keys.example.com/", "secrets come back"),
        ("http://10.0.0.1/", "secrets come back"),
        ("http://localhost.example.com/", "secrets come back"),
        ("https://user:word@h/", "no credentials"),
        ("https://h/#a", "no fragment"),
        ("https://h:0/", "https://HOST"),
        ("https://h:99999/", "https://HOST"),
        ("https:///s3", "https://HOST"),
        ("ftp://h/", "https://HOST"),
        ("https://h/a b", "https://HOST"),
        ("https://h/é", "https://HOST"),
        ("", "https://HOST"),
        ("5", "https://HOST"),
    ],
)
def test_urls_that_no_credential_hook_has(url, message):
    written = url if url == "5" else f'"{url}"'
    problem = the_problem(MINIMAL + f"credential_hook: {{url: {written}}}\n")
    assert problem.key == "credential_hook.url"
    assert message in problem.message
    assert "user:word" not in str(problem)


def test_the_root_key_file_is_in_the_state_folder_by_default():
    config = parse(MINIMAL.replace("root_key: {file: root.key}", "state: /var/lib/sseproxy"))
    assert config.root_key_file == Path("/var/lib/sseproxy/root.key")
    assert config.root_key_env is None


def test_secrets_from_files(tmp_path):
    (tmp_path / "service").write_text("from-a-file\n")
    text = MINIMAL.replace("secret: {env: SERVICE}", "secret: {file: service}")
    assert parse(text, tmp_path).service_account.secret == Secret("from-a-file")


def credentials_file(folder: Path, content: str) -> str:
    (folder / "clients.txt").write_text(content)
    return MINIMAL[: MINIMAL.index("credentials:")] + "credentials: {file: clients.txt}\n"


def test_credentials_from_a_file(tmp_path):
    text = credentials_file(tmp_path, "# clients\n\n a sa \nb sb store-b store-sb\n")
    config = parse(text, tmp_path)
    assert [entry.store_pair for entry in config.credentials] == [
        ("a", Secret("sa")),
        ("store-b", Secret("store-sb")),
    ]
    assert config.easy_mode_clients == ["a"]


def test_easy_mode_is_the_same_secret_at_the_store():
    pair = "\n    store_access_key: at-store\n    store_secret: {env: AT_STORE}"
    assert parse(MINIMAL.replace(pair, "")).easy_mode
    same_secret = parse(MINIMAL.replace("{env: AT_STORE}", "{env: CLIENT}"))
    assert same_secret.easy_mode_clients == ["client"]


@given(
    st.text("!-~abcABC019", min_size=1, max_size=20), st.text("!-~abc/+=", min_size=1, max_size=40)
)
def test_any_line_of_two_fields_is_the_same_pair_at_the_store(access_key, secret):
    (found,) = parse_credential_lines(f"{access_key}\t{secret}")
    assert found[0] == 1
    assert isinstance(found[1], Credential)
    assert found[1].store_pair == (access_key, Secret(secret))


def test_the_config_shows_no_secret_anywhere(tmp_path):
    config = parse(MINIMAL)
    for text in (repr(config), str(config), repr(config.credentials), f"{config.model_dump()}"):
        for secret in ENV.values():
            assert secret not in text


# What it refuses, and where.

REFUSED = [
    # text to add, line (of the addition: from 1), key, part of the message
    ("listn: 1\n", 1, "listn", "no setting"),
    ("log:\n  levle: info\n", 2, "log.levle", "no setting"),
    ("log:\n  level: loud\n", 2, "log.level", "'debug', 'info', 'warning' or 'error'"),
    ("limits:\n\n  max_requests: 0\n", 3, "limits.max_requests", "greater than or equal to 1"),
    ("limits: {max_requests: '5'}\n", 1, "limits.max_requests", "valid integer"),
    ("limits: 5\n", 1, "limits", "group of settings"),
    ("buckets: [a]\n", 1, "buckets", "group of settings"),
    ("administrators: client\n", 1, "administrators", "list"),
    ("administrators:\n  - client\n  - other\n", 3, "administrators[1]", "no client"),
    ("administrators: [12]\n", 1, "administrators[0]", "quotes"),
    ("allow_insecure_ssec: 'yes'\n", 1, "allow_insecure_ssec", "true or false"),
    ("listen: 8080\n", 1, "listen", "HOST:PORT"),
    ("listen: localhost:99999\n", 1, "listen", "HOST:PORT"),
    ("listen: 127.0.0.1:8081\n", 0, "admin.listen", "address for clients"),
    ("listen: 127.0.0.1:9000\n", 0, "store.endpoint", "itself listens"),
    ("tls: {cert: cert.pem}\n", 1, "tls.key", "is required"),
    ("tls: {cert: '', key: k}\n", 1, "tls.cert", "path"),
    ("keyring_id: 'abc'\n", 1, "keyring_id", "32 hex digits"),
    ("keyring_id: 00000000000000000000000000000001\n", 1, "keyring_id", "quotes"),
    ("min_epoch: 0\n", 1, "min_epoch", "greater than or equal to 1"),
    ("default_encryption: sse-kms\n", 1, "default_encryption", "later release"),
    ("default_encryption: sse-c\n", 1, "default_encryption", "'none', 'sse-cos' or 'sse-kms'"),
    ("default_encryption: AES256\n", 1, "default_encryption", "'none', 'sse-cos' or 'sse-kms'"),
    ("store_paths: allow\n", 1, "store_paths", "'refuse' or 'pass'"),
    ("allow_sigv2: 'no'\n", 1, "allow_sigv2", "true or false"),
    ("credential_hook: {}\n", 1, "credential_hook.url", "is required"),
    (
        "credential_hook:\n  url: https://h\n  secret: inline\n",
        3,
        "credential_hook.secret",
        "not written here",
    ),
    (
        "credential_hook: {url: https://h, timeout_s: 0}\n",
        1,
        "credential_hook.timeout_s",
        "greater than 0",
    ),
    ("system_bucket: a/b\n", 1, "system_bucket", "name of a bucket"),
    ("buckets:\n  12: {}\n", 2, "buckets.12", "quotes"),
    ("buckets:\n  sseproxy-system: {}\n", 2, "buckets.sseproxy-system", "system bucket"),
    ("buckets:\n  b:\n    encryption: sse-kms\n", 3, "buckets.b.encryption", "later release"),
    ("buckets:\n  b:\n    allowed_modes: [md5]\n", 3, "buckets.b.allowed_modes[0]", "'sse-c'"),
    ("buckets:\n  b:\n    allowed_modes: []\n", 3, "buckets.b.allowed_modes", "at least 1"),
    (
        "buckets:\n  b:\n    passthrough: true\n    require_encryption: write\n",
        4,
        "buckets.b.require_encryption",
        "passthrough",
    ),
    (
        "buckets:\n  b: {passthrough: true, encryption: sse-cos}\n",
        2,
        "buckets.b.encryption",
        "passthrough",
    ),
    (
        "buckets:\n  b: {require_encryption: write, encryption: none}\n",
        2,
        "buckets.b.encryption",
        "contradicts",
    ),
    (
        "buckets:\n  b: {require_encryption: write, allowed_modes: [none]}\n",
        2,
        "buckets.b.allowed_modes",
        "contradicts",
    ),
    (
        "buckets:\n  b: {block_sse_c: true, allowed_modes: [sse-c]}\n",
        2,
        "buckets.b.allowed_modes",
        "contradicts",
    ),
    (
        "buckets:\n  b: {encryption: sse-cos, allowed_modes: [sse-c]}\n",
        2,
        "buckets.b.allowed_modes",
        "lacks sse-cos",
    ),
    (
        "buckets:\n  a: {}\n  b:\n    identity: a\n",
        4,
        "buckets.b.identity",
        "swap their objects",
    ),
    ("domains: [.example.com]\n", 1, "domains[0]", "domain name"),
    ("domains: [10.0.0.1]\n", 1, "domains[0]", "domain name"),
    ("listen: localhost\n", 1, "listen", "HOST:PORT"),
    ("hosts: ['http://x']\n", 1, "hosts[0]", "Host header"),
    ("hosts: ['127.0.0.1:9000']\n", 1, "hosts[0]", "replay"),
    ("trusted_proxies: [10.0.0.1/8]\n", 1, "trusted_proxies[0]", "10.0.0.0/8"),
]


@pytest.mark.parametrize(("added", "line", "key", "message"), REFUSED)
def test_an_error_names_file_line_and_key(added, line, key, message):
    problem = the_problem(MINIMAL + added)
    assert problem.file == "/etc/sseproxy/sseproxy.yaml"
    assert problem.key == key
    assert message in problem.message
    assert "Value error" not in str(problem)
    if line:
        assert problem.line == MINIMAL.count("\n") + line
    assert str(problem).startswith(f"/etc/sseproxy/sseproxy.yaml:{problem.line}: {key}: ")


REPLACED = [
    ("http://127.0.0.1:9000", "127.0.0.1:9000", 2, "store.endpoint", "http://HOST"),
    ("http://127.0.0.1:9000", "http://a:b@h:1", 2, "store.endpoint", "no credentials"),
    ("http://127.0.0.1:9000", "http://h:1/path", 2, "store.endpoint", "nothing behind"),
    ("http://127.0.0.1:9000", "http://h:99999", 2, "store.endpoint", "http://HOST"),
    ("http://127.0.0.1:9000", "http://h:1\n  ca: ca.pem", 3, "store.ca", "https://"),
    ("http://127.0.0.1:9000", "http://h:1\n  region: ''", 3, "store.region", "pattern"),
    ("  endpoint: http://127.0.0.1:9000", "  region: eu", 1, "store.endpoint", "is required"),
    ("root_key: {file: root.key}\n", "", 1, "root_key", "is required"),
    ("{file: root.key}", "{file: root.key, env: A}", 6, "root_key", "either"),
    ("{file: root.key}", "{env: ROOT}", 1, "keyring_id", "required"),
    ("{env: SERVICE}", "inline-secret", 5, "service_account.secret", "not written here"),
    ("{env: SERVICE}", "{env: UNSET}", 5, "service_account.secret", "UNSET is not set"),
    ("{env: SERVICE}", "{file: /nonexistent}", 5, "service_account.secret", "No such file"),
    ("{env: SERVICE}", "{file: a, env: b}", 5, "service_account.secret", "either"),
    ("{env: SERVICE}", "{value: abc}", 5, "service_account.secret", "either"),
    ("{env: SERVICE}", "{env: 5}", 5, "service_account.secret", "either"),
    ("access_key: client", "access_key: 123", 8, "credentials[0].access_key", "quotes"),
    ("access_key: client", "access_key: a b", 8, "credentials[0].access_key", "without spaces"),
    ("    store_access_key: at-store\n", "", 8, "credentials[0]", "go together"),
    ("at-store", "service", 8, "credentials[0]", "system bucket"),
]


@pytest.mark.parametrize(("old", "new", "line", "key", "message"), REPLACED)
def test_an_error_in_what_is_required(old, new, line, key, message):
    problem = the_problem(MINIMAL.replace(old, new))
    assert (problem.line, problem.key) == (line, key)
    assert message in problem.message
    assert "inline-secret" not in str(problem)


def test_all_errors_at_once_in_the_order_of_the_file():
    text = MINIMAL.replace("http:", "ftp:") + "listen: 1\nlog: {level: x}\nnope: 1\n"
    found = problems(text)
    keys = ["store.endpoint", "listen", "log.level", "nope"]
    assert [problem.key for problem in found] == keys
    with pytest.raises(InvalidConfigError) as caught:
        parse(text)
    assert str(caught.value).count("\n") == 3
    assert all(key in str(caught.value) for key in keys)


def test_an_access_key_of_two_clients_is_refused():
    text = MINIMAL + "  - {access_key: client, secret: {env: AT_STORE}}\n"
    problem = the_problem(text)
    assert (problem.line, problem.key) == (12, "credentials[1].access_key")
    assert "2 clients" in problem.message


def test_a_setting_given_twice_is_refused():
    problem = the_problem(MINIMAL + "log:\n  level: info\n  level: debug\n")
    assert (problem.line, problem.key) == (14, "log.level")
    assert "twice" in problem.message


def test_an_inline_secret_never_appears_in_the_error_or_its_chain():
    text = MINIMAL.replace("{env: CLIENT}", "hunter2-" + "inline")
    with pytest.raises(InvalidConfigError) as caught:
        parse(text)
    shown = "".join(traceback.format_exception(caught.value))
    assert "hunter2-inline" not in shown


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a b\nonlyone\n", r"clients\.txt:2: 1 fields"),
        ("a b c\n", r"clients\.txt:1: 3 fields"),
        ("a/b secret\n", r"clients\.txt:1: the access key"),
        ("", "at least 1 item"),
    ],
)
def test_an_error_in_the_credentials_file_names_its_line(tmp_path, content, message):
    (problem,) = problems(credentials_file(tmp_path, content), tmp_path)
    assert problem.key == "credentials"
    assert re.search(message, problem.message)
    assert "onlyone" not in str(problem)


@pytest.mark.parametrize("value", ["{path: a}", "text", "{file: missing}", "{file: 5}"])
def test_credentials_are_a_list_or_a_file(tmp_path, value):
    text = MINIMAL[: MINIMAL.index("credentials:")] + f"credentials: {value}\n"
    (problem,) = problems(text, tmp_path)
    assert (problem.line, problem.key) == (7, "credentials")


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is empty"), (b"\xff", "UTF-8"), (b"a\nb", "one line"), (b"x" * 70_000, "too long")],
)
def test_a_secret_file_that_holds_no_secret(tmp_path, content, message):
    (tmp_path / "secret").write_bytes(content)
    (problem,) = problems(MINIMAL.replace("{env: SERVICE}", "{file: secret}"), tmp_path)
    assert message in problem.message


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: [1\nb: 2\n", 2),
        ("a:\n\t- b\n", 2),
        ("a: &x 1\nb: *y\n", 2),
        ("a: !!python/object:os.system {}\n", 1),
        ("- a\n", None),
        ("", None),
        ("just text", None),
    ],
)
def test_what_is_no_yaml_mapping(text, line):
    problem = the_problem(text)
    assert problem.file == "/etc/sseproxy/sseproxy.yaml"
    assert problem.line == line


@given(st.text(max_size=200))
def test_any_text_is_a_config_error(text):
    assert problems(text)


def test_a_file_that_cant_be_read(tmp_path):
    with pytest.raises(InvalidConfigError, match="No such file"):
        load_config(tmp_path / "none.yaml", {})
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidConfigError, match="UTF-8"):
        load_config(tmp_path / "binary", {})
    (tmp_path / "long").write_bytes(b"#" * (4 * 1024 * 1024 + 1))
    with pytest.raises(InvalidConfigError, match="too long"):
        load_config(tmp_path / "long", {})


# Flags only.


def flags(**changes: object) -> Flags:
    return Flags(**({"store": "http://127.0.0.1:9000", "state": Path("/state")} | changes))


def flag_problems(environ: dict[str, str], **changes: object) -> dict[str | None, str]:
    with pytest.raises(InvalidConfigError) as caught:
        config_from_flags(flags(**changes), environ)
    return {problem.key: str(problem) for problem in caught.value.problems}


def test_the_aws_key_is_client_store_key_service_account_and_administrator():
    config = config_from_flags(flags(default_encryption="sse-cos", listen="127.0.0.1:0"), AWS)
    (client,) = config.credentials
    assert client.store_pair == ("AKIA", Secret("own-secret"))
    assert config.service_account.access_key == "AKIA"
    assert config.service_account.secret == Secret("own-secret")
    assert config.administrators == ["AKIA"]
    assert config.easy_mode
    assert config.default_encryption == "sse-cos"
    assert config.root_key_file == Path("/state/root.key")
    assert config.listen == Address("127.0.0.1", 0)


def test_flags_credentials_use_their_own_pair_at_the_store(tmp_path):
    path = tmp_path / "clients"
    path.write_text("two fields-secret\nfour s4 at-store at-secret\n")
    config = config_from_flags(flags(credentials=path), AWS)
    assert [entry.store_pair for entry in config.credentials] == [
        ("AKIA", Secret("own-secret")),
        ("two", Secret("fields-secret")),
        ("at-store", Secret("at-secret")),
    ]
    assert config.administrators == ["AKIA"]


def test_flags_tls_and_insecure_ssec():
    config = config_from_flags(
        flags(tls_cert=Path("/c"), tls_key=Path("/k"), allow_insecure_ssec=True), AWS
    )
    assert config.tls is not None
    assert (config.tls.cert, config.tls.key) == (Path("/c"), Path("/k"))
    assert config.allow_insecure_ssec


def test_relative_paths_in_flags_start_at_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert config_from_flags(flags(state=Path("s")), AWS).state == tmp_path / "s"


def test_errors_in_flags_name_the_flag_and_come_at_once(tmp_path):
    path = tmp_path / "clients"
    path.write_text("AKIA again\nbroken\n")
    found = flag_problems(
        {"AWS_ACCESS_KEY_ID": "a/b"},
        store="ftp://x",
        listen="nowhere",
        admin_listen="8081",
        default_encryption="rot13",
        credentials=path,
        tls_cert=Path("/c"),
    )
    assert set(found) == {
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "--store",
        "--listen",
        "--admin-listen",
        "--default-encryption",
        "--credentials",
        "--tls-key",
    }
    assert f"{path}:2" in found["--credentials"]


def test_cross_checks_hold_for_flags_too(tmp_path):
    path = tmp_path / "clients"
    path.write_text("AKIA again\n")
    assert set(flag_problems(AWS, default_encryption="sse-kms")) == {"--default-encryption"}
    assert set(flag_problems(AWS, credentials=path)) == {"--credentials"}
    assert set(flag_problems(AWS, credentials=tmp_path / "none")) == {"--credentials"}
    assert set(flag_problems(AWS, tls_key=Path("/k"))) == {"--tls-cert"}
    assert set(flag_problems({})) == {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}


# The example, and the documentation.


def prepared(folder: Path, text: str) -> Path:
    (folder / "clients.txt").write_text("client secret at-store store-secret\n")
    (folder / "sseproxy.yaml").write_text(text)
    return folder / "sseproxy.yaml"


def test_the_example_is_what_init_writes_and_loads(tmp_path):
    assert EXAMPLE.read_text() == render_config()
    config = load_config(prepared(tmp_path, EXAMPLE.read_text()), {"SSEPROXY_SERVICE_SECRET": "s"})
    assert config.default_encryption == "sse-cos"
    assert config.root_key_file == tmp_path / "root.key"
    assert not config.easy_mode


def test_what_the_example_has_commented_out_loads_too(tmp_path):
    text = EXAMPLE.read_text()
    # A comment that is a setting: "# key:" or an entry below one, at any depth.
    text = re.sub(r"^( *)# ((?: *- |  )* *[a-z_]+:( .*)?|    *- .*)$", r"\1\2", text, flags=re.M)
    text = re.sub(r"^credentials:\n(  .*\n)+", "", text, flags=re.M)
    text = re.sub(r"^administrators:.*", "administrators: [client]", text, flags=re.M)
    text = text.replace("32 hex digits; needed if root_key is {env: NAME}", "ab" * 16)
    text = text.replace('endpoint: "http:', 'endpoint: "https:')
    environ = {"SSEPROXY_SERVICE_SECRET": "s", "HOOK_SECRET": "h"}
    config = load_config(prepared(tmp_path, text), environ)
    # Model defaults are what the commented lines say: all groups are there, and were read.
    groups = {"limits", "log", "tls", "buckets", "domains", "hosts", "credential_hook"}
    assert groups <= config.model_fields_set
    defaults = parse(MINIMAL)
    for group in ("limits", "log", "listing", "min_epoch", "allow_insecure_ssec", "allow_sigv2"):
        assert getattr(config, group) == getattr(defaults, group)
    assert config.store.timeouts == defaults.store.timeouts


@given(st.text(min_size=1, max_size=30).filter(lambda text: text.isprintable()))
def test_any_text_survives_rendering(text):
    document = yaml.safe_load(
        render_config(endpoint=text, service_access_key=text, state=text, root_key_file=text)
    )
    assert document["store"]["endpoint"] == text
    assert document["service_account"]["access_key"] == text
    assert document["state"] == text
    assert document["root_key"] == {"file": text}


def test_a_rendered_environment_root_key_names_its_keyring(tmp_path):
    text = render_config(root_key_env="ROOT", keyring_id=bytes(range(16)))
    config = load_config(prepared(tmp_path, text), {"SSEPROXY_SERVICE_SECRET": "s"})
    assert (config.root_key_env, config.keyring_id) == ("ROOT", bytes(range(16)))


def settings(model: type[BaseModel], prefix: str = "") -> list[str]:
    """The dotted names of all settings; `buckets.NAME.` and `credentials[].` stand for entries."""
    names = []
    for name, field in model.model_fields.items():
        names.append(prefix + name)
        for inner in [field.annotation, *_inner(field.annotation)]:
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                between = {"buckets": ".NAME.", "credentials": "[]."}.get(name, ".")
                names += settings(inner, prefix + name + between)
    return names


def _inner(annotation: object) -> list[object]:
    return [deep for arg in get_args(annotation) for deep in [arg, *_inner(arg)]]


def documented() -> set[str]:
    """What a row of a table in the documentation starts with."""
    return set(re.findall(r"^\| `([^`]+)` \|", DOCS.read_text(), flags=re.M))


def test_every_setting_flag_and_variable_is_documented_and_nothing_else():
    flag_names = {f"--{field.name.replace('_', '-')}" for field in fields(Flags)}
    expected = set(settings(Config)) | flag_names | {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    assert len(expected) > 60
    assert documented() == expected


def test_every_setting_is_in_the_example():
    text = EXAMPLE.read_text()
    for name in settings(Config):
        last = re.split(r"\.|\[\]", name)[-1]
        assert re.search(rf"\b{last}:|\b{{{last}:", text), name


def test_documented_defaults_are_the_models():
    rows = re.findall(r"^\| `([^`]+)` \| ([^|]*) \|", DOCS.read_text(), flags=re.M)
    defaults = {name: text.strip() for name, text in rows}
    assert defaults["listen"] == "`127.0.0.1:8080`"
    for group in ("limits", "log", "store.timeouts"):
        model = Config
        for part in group.split("."):
            model = model.model_fields[part].annotation
        for name, field in model.model_fields.items():
            shown = defaults[f"{group}.{name}"].strip("`").replace(",", "")
            default = field.default
            expected = f"{default:g}" if isinstance(default, float) else str(default)
            assert shown == expected, name
