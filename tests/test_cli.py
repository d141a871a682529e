"""The command line without a store: help, what it refuses, and that no secret is ever printed."""

from __future__ import annotations

import stat
import sys

import pytest
from typer.testing import CliRunner

import sseproxy.cli as command
from sseproxy import __version__
from sseproxy.config.load import load_config
from sseproxy.format.header import Header
from sseproxy.format.layout import sealed_object_size

SERVICE = {"SSEPROXY_SERVICE_SECRET": "service-secret-value"}
OWN = {"AWS_ACCESS_KEY_ID": "AKOWN", "AWS_SECRET_ACCESS_KEY": "own-secret-value"}
# Port 9 is "discard": nobody listens there.
NO_STORE = "http://127.0.0.1:9"
YAML = """\
store:
  endpoint: http://127.0.0.1:9
service_account:
  access_key: sseproxy
  secret: {env: SSEPROXY_SERVICE_SECRET}
root_key: {file: root.key}
credentials: {file: clients.txt}
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """`sseproxy ARGUMENTS` in an empty folder, with only the variables given."""
    monkeypatch.chdir(tmp_path)
    for name in (*SERVICE, *OWN):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments, env=None):
        return CliRunner().invoke(command.cli, [str(part) for part in arguments], env=env)

    return run


@pytest.fixture
def yaml(tmp_path):
    """A right YAML, sseproxy.yaml, whose one client has its own key at the store."""
    (tmp_path / "clients.txt").write_text(
        "client client-secret-value at-store store-secret-value\n"
    )
    path = tmp_path / "sseproxy.yaml"
    path.write_text(YAML)
    return path


def the_line(result, status):
    """The only line on standard error, of a command that ended with `status`."""
    assert result.exit_code == status, result.output
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("sseproxy: ")
    return lines[0]


@pytest.mark.parametrize("arguments", [["version"], ["--version"]])
def test_the_version(run, arguments):
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (0, f"{__version__}\n")


@pytest.mark.parametrize(
    "name",
    "serve check-config check-store init inspect decrypt demo version".split(),  # noqa: SIM905
)
def test_every_command_has_a_help(run, name):
    result = run(name, "--help")
    assert result.exit_code == 0
    assert f"Usage: root {name}" in result.stdout.replace("sseproxy", "root")
    assert name in run("--help").stdout


def test_serve_needs_a_yaml_or_a_store_and_a_state(run):
    assert "either --config, or --store and --state" in the_line(run("serve"), 2)
    assert "--state" in the_line(run("serve", "--store", NO_STORE), 2)


@pytest.mark.parametrize(
    "flag",
    [
        ("--store", NO_STORE),
        ("--state", "."),
        ("--listen", "127.0.0.1:1"),
        ("--default-encryption", "none"),
        ("--allow-insecure-ssec",),
    ],
)
def test_a_flag_beside_a_yaml_is_refused_not_ignored(run, yaml, flag):
    line = the_line(run("serve", "--config", yaml, *flag, env=SERVICE), 2)
    assert flag[0] in line


def test_serve_without_credentials_names_both_variables(run):
    result = run("serve", "--store", NO_STORE, "--state", "state")
    assert result.exit_code == 2
    assert [line.split(":")[1].strip() for line in result.stderr.splitlines()] == list(OWN)


def test_serve_says_that_the_store_is_not_there(run, tmp_path):
    result = run("serve", "--store", NO_STORE, "--state", "state", env=OWN)
    assert "127.0.0.1:9" in the_line(result, 1)
    assert not (tmp_path / "state" / "root.key").exists()


def test_a_certificate_that_cannot_be_read_is_named_before_the_store_is_asked(run, tmp_path):
    (tmp_path / "broken.pem").write_text("no certificate")
    start = ["serve", "--store", NO_STORE, "--state", "state", "--tls-key", "broken.pem"]
    line = the_line(run(*start, "--tls-cert", "broken.pem", env=OWN), 2)
    assert "broken.pem can't be used" in line
    line = the_line(run(*start, "--tls-cert", "absent.pem", env=OWN), 2)
    assert "absent.pem" in line
    assert "No such file" in line


def test_check_config_says_who_is_kept_out(run, yaml):
    result = run("check-config", yaml, env=SERVICE)
    assert result.exit_code == 0
    assert "the store can't ask this proxy for plaintext" in result.stdout
    yaml.with_name("clients.txt").write_text("easy client-secret-value\n")
    result = run("check-config", yaml, env=SERVICE)
    assert "easy mode: the store knows the secrets of clients easy" in result.stdout


def test_check_config_has_a_line_with_file_line_and_key_for_each_error(run, yaml):
    yaml.write_text(YAML + "listen: nowhere\nlimits:\n  max_request: 5\n")
    result = run("check-config", yaml, env=SERVICE)
    assert result.exit_code == 2
    first, second = result.stderr.splitlines()
    assert first == f"sseproxy: {yaml}:8: listen: should be HOST:PORT, such as 127.0.0.1:8080"
    assert second.startswith(f"sseproxy: {yaml}:10: limits.max_request: is no setting")


def test_a_secret_in_the_yaml_is_refused_and_not_shown(run, yaml):
    yaml.write_text(YAML.replace("{env: SSEPROXY_SERVICE_SECRET}", "service-secret-value"))
    line = the_line(run("check-config", yaml), 2)
    assert f"{yaml}:5: service_account.secret" in line
    assert "service-secret-value" not in line


def test_no_yaml_is_a_line(run):
    assert "absent.yaml: can't be read" in the_line(run("check-config", "absent.yaml"), 2)


def test_init_writes_private_files_and_says_what_it_lacks(run, tmp_path):
    result = run("init", "--store", NO_STORE)
    assert "SSEPROXY_SERVICE_SECRET is not set" in the_line(result, 2)
    assert result.stdout == "wrote clients.txt and sseproxy.yaml\n"
    for name in ("clients.txt", "sseproxy.yaml"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    config = load_config(tmp_path / "sseproxy.yaml", SERVICE)
    assert config.store.endpoint == NO_STORE
    assert len(config.credentials) == 1


def test_init_again_keeps_what_is_there(run, tmp_path):
    run("init", "--store", NO_STORE)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert "127.0.0.1:9" in the_line(run("init", "--store", NO_STORE, env=SERVICE), 1)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_the_first_client_is_new_each_time(run, tmp_path):
    pairs = set()
    for folder in ("a", "b"):
        run("init", f"{folder}/sseproxy.yaml")
        pairs.add((tmp_path / folder / "clients.txt").read_text().splitlines()[-1])
    (a, sa, *_), (b, sb, *_) = (pair.split() for pair in pairs)
    assert a != b
    assert sa != sb
    assert len(sa) >= 40


def test_a_client_without_a_store_key_is_refused_until_it_is_edited(run, tmp_path):
    run("init", "--store", NO_STORE)
    for arguments in (["check-config"], ["serve", "-c", "sseproxy.yaml"]):
        line = the_line(run(*arguments, env=SERVICE), 2)
        assert "has no key at the store yet" in line
        assert "clients.txt" in line
    clients = tmp_path / "clients.txt"
    text = clients.read_text().replace("STORE_ACCESS_KEY STORE_SECRET_KEY\n", "ak sk\n")
    clients.write_text(text.replace("SECRET_KEY ak sk", "SECRET_KEY"))
    assert run("check-config", env=SERVICE).exit_code == 0


def test_init_refuses_options_that_the_yaml_contradicts(run):
    run("init", "--store", NO_STORE)
    line = the_line(run("init", "--store", "http://other", env=SERVICE), 2)
    assert "--store http://other" in line
    line = the_line(run("init", "--service-access-key", "other", env=SERVICE), 2)
    assert "--service-access-key other" in line


def test_check_store_needs_to_know_the_store(run, yaml):
    assert "either --config or --store" in the_line(run("check-store"), 2)
    assert "127.0.0.1:9" in the_line(run("check-store", "--store", NO_STORE, env=OWN), 1)
    assert "127.0.0.1:9" in the_line(run("check-store", "-c", yaml, env=SERVICE), 1)


@pytest.mark.parametrize("text", ["", "nonsense", "AQ", "A" * 8000, "äöü", "\x00"])
def test_inspect_refuses_what_is_no_envelope(run, text):
    the_line(run("inspect", text), 1)


def test_inspect_refuses_a_file_that_is_neither(run, tmp_path):
    (tmp_path / "picture.jpg").write_bytes(b"\xff\xd8\xff\xe0" * 100_000)
    assert "picture.jpg is neither" in the_line(run("inspect", "picture.jpg"), 2)


@pytest.mark.parametrize(("cut", "verdict"), [(0, "as it must be"), (1, "WRONG: not 1225")])
def test_inspect_of_a_raw_object_compares_its_size(run, tmp_path, cut, verdict):
    header = Header(1, 1145, bytes(16), has_trailer=False).pack()
    stored = sealed_object_size(1145) - cut
    (tmp_path / "raw").write_bytes(header.ljust(stored, b"\0"))
    result = run("inspect", "raw")
    assert result.exit_code == 0
    assert "1145 (as the header says)" in result.stdout
    assert f"{stored} ({verdict})" in result.stdout


def test_inspect_wants_all_that_checksums_need(run, tmp_path):
    (tmp_path / "raw").write_bytes(Header(1, 0, bytes(16), has_trailer=False).pack())
    line = the_line(run("inspect", "raw", "--bucket", "b", "--key", "k"), 2)
    assert "--root-key, --keyring, --bucket, --key" in line


def test_demo_without_its_extra_says_what_to_install(run, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("sseproxy.demo.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "sseproxy.demo", raising=False)
    monkeypatch.setitem(sys.modules, "boto3", None)
    assert "pip install 'sseproxy[demo]'" in the_line(run("demo"), 2)


def test_demo_without_the_store_says_what_to_install(run, monkeypatch):
    monkeypatch.setattr("sseproxy.demo_store.find_program", lambda _name: None)
    assert "sseproxy[demo]" in the_line(run("demo"), 1)


def test_a_defect_shows_where_but_no_values(capsys, monkeypatch):
    def broken():
        raise KeyError("secret-value")

    monkeypatch.setattr(command, "cli", broken)
    with pytest.raises(SystemExit) as end:
        command.main()
    assert end.value.code == 1
    printed = capsys.readouterr()
    assert "internal error: KeyError" in printed.err
    assert "in broken" in printed.err
    assert "secret-value" not in printed.out + printed.err.replace(
        'raise KeyError("secret-value")', ""
    )
