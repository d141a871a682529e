"""Starts, restarts and stops of `sseproxy serve` over a store of its own; lost keys; addressing."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config as BotoConfig
from botocore.exceptions import ClientError

from sseproxy.demo_store import ALL_ACTIONS
from tests.e2e.kill_points import wipe
from tests.proxies import SYSTEM_BUCKET, ProxyProcess, s3_client
from tests.servers import LOOPBACK, Identity, SeaweedFS, StartFailed, free_ports, wait_until

SSEPROXY = [sys.executable, "-m", "sseproxy.cli"]
DATA = b"what is to be kept " * 100
SERVICE = Identity("service", "sseproxy", "service-secret-of-the-tests", ALL_ACTIONS)
ENVIRON = {**os.environ, "SSEPROXY_SERVICE_SECRET": SERVICE.secret_key}


@pytest.fixture(scope="module")
def own_store():
    """A store whose system bucket no other test needs."""
    with SeaweedFS(identities=[SERVICE]) as store:
        yield store


@pytest.fixture
def store(own_store):
    """That store without a keyring; every test begins a deployment of its own."""
    yield own_store
    wipe(s3_client(own_store.endpoint, own_store.access_key, own_store.secret_key))


@pytest.fixture
def serve(store, tmp_path):
    """Start a proxy over that store with flags; all share a state unless they say otherwise."""
    with ExitStack() as stack:

        def serve(name="proxy", **options):
            options = {"state": tmp_path / "state", **options}
            return stack.enter_context(ProxyProcess(store, tmp_path / name, **options))

        yield serve


def records(proxy):
    """Name and content of everything in the system bucket."""
    s3 = proxy.raw_client()
    names = [item["Key"] for item in s3.list_objects_v2(Bucket=SYSTEM_BUCKET)["Contents"]]
    return {name: proxy.raw_get(SYSTEM_BUCKET, name) for name in names}


def put(proxy, bucket, key="object", **more):
    s3 = proxy.client()
    if bucket not in [entry["Name"] for entry in s3.list_buckets()["Buckets"]]:
        s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key=key, Body=DATA, **more)


def get(proxy, bucket, key="object", **more):
    return proxy.client().get_object(Bucket=bucket, Key=key, **more)["Body"].read()


def test_a_first_start_makes_the_keys_and_a_restart_finds_them(serve, tmp_path):
    first = serve("first")
    put(first, "restart")
    root_key = tmp_path / "state" / "root.key"
    assert stat.S_IMODE(root_key.stat().st_mode) == 0o600
    assert stat.S_IMODE(root_key.parent.stat().st_mode) == 0o700
    assert json.loads(root_key.read_text())["pending"] is False
    made, text = records(first), root_key.read_bytes()
    assert DATA not in first.raw_get("restart", "object")
    first.stop()

    second = serve("second")
    assert get(second, "restart") == DATA
    assert records(second) == made
    assert root_key.read_bytes() == text


def refused(store, state):
    """The one line that a start with this state ends with."""
    proxy = ProxyProcess(store, state.parent / "refused", state=state)
    proxy.ports = free_ports(2)  # a server that is to be on given ports is tried once
    proxy.log_file.unlink(missing_ok=True)
    with pytest.raises(StartFailed) as failure:
        proxy.start()
    _, line = str(failure.value).splitlines()
    return line


@pytest.fixture
def stopped(serve):
    """A deployment that was started and stopped."""
    proxy = serve("first")
    proxy.made = records(proxy)
    proxy.stop()
    return proxy


def test_a_lost_root_key_is_refused_and_nothing_is_made(serve, store, stopped, tmp_path):
    lost = stopped.state / "root.key"
    kept = lost.rename(tmp_path / "backup")
    line = refused(store, stopped.state)
    assert "the store has a keyring, but its root key is not in" in line
    assert "No second keyring is made" in line
    assert not lost.exists()
    kept.rename(lost)
    assert records(serve("restored")) == stopped.made


def test_a_new_state_over_an_old_store_is_refused(store, stopped, tmp_path):
    assert "No second keyring is made" in refused(store, tmp_path / "new")
    assert not (tmp_path / "new" / "root.key").exists()
    assert records(stopped) == stopped.made


def test_another_root_key_is_refused(store, stopped):
    path = stopped.state / "root.key"
    document = json.loads(path.read_text())
    document["key"] = "A" * 43 + "="
    path.write_text(json.dumps(document))
    line = refused(store, stopped.state)
    assert "was sealed with root key" in line
    assert "restore the right root key" in line
    path.write_text("{}")
    assert "root.key" in refused(store, stopped.state)
    assert records(stopped) == stopped.made


def test_a_root_key_that_others_can_read_is_refused(store, stopped):
    path = stopped.state / "root.key"
    path.chmod(0o644)
    assert f"chmod 600 {path}" in refused(store, stopped.state)


def test_a_lost_keyring_is_not_replaced(store, stopped):
    stopped.raw_client().delete_object(Bucket=SYSTEM_BUCKET, Key="keyring")
    assert "is not in the system bucket" in refused(store, stopped.state)
    assert set(stopped.made) - set(records(stopped)) == {"keyring"}


def test_two_first_starts_at_once_make_one_keyring(serve):
    with ThreadPoolExecutor(2) as threads:
        one, other = threads.map(serve, ["one", "other"])
    assert [name for name in records(one) if name.startswith("settings-")] == [
        f"settings-{json.loads((one.state / 'root.key').read_text())['keyring']}"
    ]
    put(one, "shared")
    assert get(other, "shared") == DATA


def test_two_first_starts_with_states_of_their_own_never_share_a_store(serve, tmp_path):
    with ThreadPoolExecutor(2) as threads:
        starts = [
            threads.submit(serve, name, state=tmp_path / f"state-{name}") for name in ("a", "b")
        ]
    failures = [start.exception() for start in starts if start.exception()]
    assert len(failures) == 1
    assert "the store has a keyring" in str(failures[0])
    (alive,) = (start.result() for start in starts if not start.exception())
    put(alive, "one-of-two")
    assert get(alive, "one-of-two") == DATA


def test_sigterm_lets_a_running_upload_end(serve):
    proxy = serve()
    put(proxy, "drain", "before")
    url = proxy.client().generate_presigned_url(
        "put_object", {"Bucket": "drain", "Key": "slow"}, HttpMethod="PUT"
    )
    parts = urlsplit(url)
    head = (
        f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nhost: {parts.netloc}\r\n"
        f"content-length: {len(DATA)}\r\n\r\n"
    )
    with socket.create_connection((LOOPBACK, proxy.ports[0]), timeout=20) as upload:
        upload.sendall(head.encode() + DATA[:100])
        wait_until(lambda: "sseproxy_requests_in_flight 1.0" in proxy.metrics(), 20, AssertionError)
        process = proxy._process
        os.kill(process.pid, signal.SIGTERM)
        wait_until(lambda: not listens(proxy.ports[0]), 20, AssertionError)
        assert process.poll() is None
        upload.sendall(DATA[100:])
        answer = b"".join(iter(lambda: upload.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert process.wait(timeout=20) == 0
    log = proxy.log_file.read_text()
    assert log.rstrip().endswith("stopped")
    assert "Traceback" not in log
    assert get(serve("next"), "drain", "slow") == DATA


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


def test_sigterm_ends_a_start_that_waits_for_the_store(tmp_path):
    with socket.create_server((LOOPBACK, 0)) as silent, ExitStack() as stack:
        silent.settimeout(30)
        environ = {**os.environ, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s"}
        url = f"http://{LOOPBACK}:{silent.getsockname()[1]}"
        process = stack.enter_context(
            subprocess.Popen(
                [*SSEPROXY, "serve", "--store", url, "--state", str(tmp_path / "state")],
                env=environ,
                stderr=subprocess.PIPE,
            )
        )
        stack.callback(process.kill)
        stack.enter_context(silent.accept()[0])  # it asked, and now waits for the answer
        process.terminate()
        _, printed = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"Traceback" not in printed


def test_init_edit_serve(store, tmp_path):
    """The way of a new user: init, one line of clients.txt, serve --config."""
    made = sseproxy("init", "--store", store.endpoint, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert "has no key at the store yet" in made.stdout
    assert "Suggested policies" in made.stdout
    clients = tmp_path / "clients.txt"
    *notes, line = clients.read_text().splitlines()
    access_key, secret_key, *_ = line.split()
    line = f"{access_key} {secret_key} {store.access_key} {store.secret_key}"
    clients.write_text("\n".join([*notes, line]))
    assert secret_key not in made.stdout

    ports = free_ports(2)
    yaml = tmp_path / "sseproxy.yaml"
    text = yaml.read_text().replace(":8080", f":{ports[0]}").replace(":8081", f":{ports[1]}")
    yaml.write_text(text)
    with Configured(store, yaml, ports) as proxy:
        proxy.access_key, proxy.secret_key = access_key, secret_key
        put(proxy, "new-user")
        assert get(proxy, "new-user") == DATA
        assert DATA not in proxy.raw_get("new-user", "object")
        assert "client and store keys differ" in proxy.log_file.read_text()


class Configured(ProxyProcess):
    """A proxy with a YAML that says on which ports it listens."""

    def __init__(self, store, yaml: Path, ports: list[int]) -> None:
        super().__init__(store, yaml.parent / "process", yaml=yaml)
        self.ports = ports

    def environment(self):
        return {"SSEPROXY_SERVICE_SECRET": SERVICE.secret_key}


def sseproxy(*arguments, cwd):
    return subprocess.run(
        [*SSEPROXY, *map(str, arguments)],
        cwd=cwd,
        env=ENVIRON,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_serve_with_a_yaml_makes_no_keys(store, tmp_path):
    ports = free_ports(2)
    yaml = write_yaml(tmp_path, store, ports)
    with pytest.raises(StartFailed, match="run `sseproxy init` if this deployment is new"):
        Configured(store, yaml, ports).start()
    assert not (tmp_path / "root.key").exists()


def write_yaml(folder, store, ports, more=""):
    (folder / "clients.txt").write_text(
        f"CLIENTKEY000000000001 client-secret/of+the-tests {store.access_key} {store.secret_key}\n"
    )
    yaml = folder / "sseproxy.yaml"
    yaml.write_text(f"""\
listen: {LOOPBACK}:{ports[0]}
admin: {{listen: "{LOOPBACK}:{ports[1]}"}}
store: {{endpoint: "{store.endpoint}"}}
service_account: {{access_key: {SERVICE.access_key}, secret: {{env: SSEPROXY_SERVICE_SECRET}}}}
root_key: {{file: root.key}}
credentials: {{file: clients.txt}}
default_encryption: sse-cos
{more}""")
    return yaml


def test_virtual_host_style(store, tmp_path, monkeypatch):
    ports = free_ports(2)
    yaml = write_yaml(tmp_path, store, ports, "domains: [s3.example.test]\n")
    assert sseproxy("init", cwd=tmp_path).returncode == 0
    resolve = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *more, **kw: resolve(LOOPBACK, *more, **kw)
    )
    with Configured(store, yaml, ports) as proxy:
        put(proxy, "by-host", "über/key +&.txt")
        s3 = boto3.client(
            "s3",
            endpoint_url=f"http://s3.example.test:{ports[0]}",
            aws_access_key_id=proxy.access_key,
            aws_secret_access_key=proxy.secret_key,
            region_name="us-east-1",
            config=BotoConfig(s3={"addressing_style": "virtual"}),
        )
        asked = []
        s3.meta.events.register("before-send.s3", lambda request, **_: asked.append(request.url))
        got = s3.get_object(Bucket="by-host", Key="über/key +&.txt")["Body"].read()
        assert got == DATA
        assert urlsplit(asked[0]).hostname == "by-host.s3.example.test"
        s3.put_object(Bucket="by-host", Key="second", Body=DATA)
        assert get(proxy, "by-host", "second") == DATA
        names = [item["Key"] for item in s3.list_objects_v2(Bucket="by-host")["Contents"]]
        assert names == ["second", "über/key +&.txt"]


def test_tls(serve):
    proxy = serve(tls=True, flags=())
    key = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": os.urandom(32)}
    put(proxy, "tls", **key)
    assert get(proxy, "tls", **key) == DATA
    # The operators' port has no certificate to show: it is plain.
    assert urlsplit(proxy.admin).scheme == "http"
    with urllib.request.urlopen(f"{proxy.admin}/livez") as answer:
        assert answer.status == 200


def test_customer_keys_without_tls_are_refused(serve):
    proxy = serve(flags=())
    key = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": os.urandom(32)}
    # botocore itself would refuse; as it would be sent:
    s3 = proxy.client()
    put(proxy, "no-tls")
    with pytest.raises(ClientError) as refusal:
        s3.put_object(Bucket="no-tls", Key="object", Body=b"new", **key)
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert get(proxy, "no-tls") == DATA
