"""`sseproxy demo` as its user sees it."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.proxies import s3_client
from tests.servers import wait_until

DEMO = [sys.executable, "-m", "sseproxy.cli", "demo"]
TITLES = [
    "1. Start a store (SeaweedFS) and the proxy before it",
    "2. Upload in each mode",
    "3. Look at the store's own disk",
    "4. Read it back",
    "5. Ask without a signature, in a public bucket",
    "6. Flip one byte at the store",
    "7. Look at the metrics",
]


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Where the demo makes its folder."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_every_step_shows_what_it_should(temporary):
    done = subprocess.run(DEMO, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert [line for line in lines if line in TITLES] == TITLES
    assert len([line for line in lines if line.startswith("✓")]) == len(TITLES) + 1
    assert "✗" not in done.stdout
    assert done.stderr == ""
    for name in ("sse-s3.bin", "sse-c.bin"):
        assert re.search(rf"{name} .* 93 53 53 45 50 52 58 0a", done.stdout)
    assert re.search(r"plain.bin .* 50 4c 41 49 4e 54 45 58 54 .*PLAINTEXT", done.stdout)
    assert re.search(r"sse-s3.bin .* 200,000 +[0-9a-f]{32} +200,128", done.stdout)
    assert "encrypted object 403 AccessDenied" in done.stdout
    assert re.search(r"integrity_failures +reason=segment +\+1", done.stdout)
    assert re.search(r"anonymous_denials +operation=GetObject +\+1", done.stdout)
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_keep_leaves_it_running_for_ones_own_client(temporary, tmp_path, ending):
    with (tmp_path / "printed").open("wb") as printed:
        demo = subprocess.Popen([*DEMO, "--keep"], stdout=printed)
    try:
        text = Path(printed.name)
        wait_until(lambda: "with the store's own key" in text.read_text(), 60, AssertionError)
        shown = text.read_text()
        keys = dict(
            word.split("=", 1) for word in shlex.split(line_of(shown, "export ")) if "=" in word
        )
        endpoint = re.search(r"--endpoint-url (\S+) s3 ls", shown)[1]
        s3 = s3_client(endpoint, keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"])
        names = [item["Key"] for item in s3.list_objects_v2(Bucket="demo")["Contents"]]
        assert names == ["plain.bin", "sse-c.bin", "sse-s3.bin"]
        got = s3.get_object(Bucket="demo", Key="sse-s3.bin")["Body"].read()
        assert got.startswith(b"PLAINTEXT of sse-s3.bin")
    finally:
        demo.send_signal(ending)
        assert demo.wait(timeout=30) == 0
    assert [path.name for path in temporary.iterdir()] == ["printed"]


def line_of(text, start):
    return next(line for line in text.splitlines() if line.startswith(start))


def test_a_step_that_fails_fails_the_demo(monkeypatch, capsys):
    from sseproxy.cli import main
    from sseproxy.demo import run
    from sseproxy.demo.stage import expect

    def wrong(_stage):
        expect(False, "the moon")
        return "never"

    monkeypatch.setattr(run, "STEPS", (("Look up", wrong), ("Look down", lambda _stage: "seen")))
    monkeypatch.setattr("sys.argv", ["sseproxy", "demo"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 1
    printed = capsys.readouterr().out
    assert "✗ expected: the moon" in printed
    assert "✓ seen" in printed
    assert "1 of 2 steps failed" in printed
