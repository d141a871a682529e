"""The documentation names every metric, error, command and decision, and its links work."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
from prometheus_client.metrics import MetricWrapperBase

from sseproxy import metrics
from sseproxy.cli import cli
from sseproxy.metrics import Metrics
from sseproxy.proxy.dispatch import handler_of
from sseproxy.s3.faults import Fault
from sseproxy.s3.operations import Operation
from sseproxy.s3.request import Dialect
from sseproxy.s3.sse import SseMode

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "tests").rglob("*.md")])
NAMED = re.compile(r"`([^`]+)`")


def _rows(text: str) -> Iterator[list[str]]:
    """The cells of every row of every table, the lines under their heads left out."""
    for line in text.splitlines():
        if line.startswith("|") and not line.startswith("|---"):
            yield [cell.strip() for cell in line.strip().strip("|").split("|")]


def _sample_name(metric: MetricWrapperBase) -> str:
    """The name as it is scraped."""
    suffix = {"counter": "_total", "info": "_info"}.get(metric._type, "")
    return metric._name + suffix


def _metrics() -> dict[str, tuple[str, set[str]]]:
    found = {}
    for metric in vars(Metrics()).values():
        if isinstance(metric, MetricWrapperBase):
            labels = set(metric._labelnames)
            if metric._type == "info":
                labels = set(metric._value)
            found[_sample_name(metric)] = (metric._type, labels)
    return found


def test_every_metric_is_documented_with_type_and_labels_and_no_other() -> None:
    documented = {
        NAMED.findall(row[0])[0]: (row[1], set(NAMED.findall(row[2])))
        for row in _rows((DOCS / "metrics.md").read_text())
        if len(row) == 5 and row[0].startswith("`sseproxy_")
    }
    assert documented == _metrics()


def test_every_value_of_a_fixed_label_is_documented() -> None:
    text = (DOCS / "metrics.md").read_text()
    sources = "\n".join(path.read_text() for path in (ROOT / "sseproxy").rglob("*.py"))
    reasons = set(re.findall(r'IntegrityError\(\s*"(\w+)"', sources))
    reasons |= set(re.findall(r'_fail\(\s*"(\w+)"', sources))
    assert {"envelope", "plaintext", "size", "truncated"} <= reasons, "the pattern finds them"
    values = {mode.value for mode in SseMode} | {dialect.value for dialect in Dialect}
    values |= {reason for _, reason in metrics._STORE_ERRORS} | {"refused"}
    missing = {value for value in values | reasons if f"`{value}`" not in text}
    assert not missing


def _faults_in(text: str) -> set[tuple[str, str]]:
    """(code, status) of every row; a row that goes on with the code above has neither."""
    return {
        (NAMED.findall(row[0])[0], row[1])
        for row in _rows(text)
        if len(row) >= 2 and NAMED.search(row[0]) and row[1].isdigit()
    }


def test_every_error_is_documented_with_its_status() -> None:
    documented = _faults_in((DOCS / "errors.md").read_text())
    assert documented == {(fault.code, str(fault.status)) for fault in Fault}


def test_the_errors_that_the_code_answers_are_those_documented_as_answered() -> None:
    now, _, later = (DOCS / "errors.md").read_text().partition("## Not answered yet")
    named = set()
    for path in (ROOT / "sseproxy").rglob("*.py"):
        if path.name != "faults.py":
            # The set of faults that a metric counts answers nothing.
            code = re.sub(r"frozenset\(\s*\{[^}]*\}", "", path.read_text())
            named |= set(re.findall(r"Fault\.([A-Z]\w+)", code))
    answered = {Fault[name].code for name in named}
    assert len(answered) > 30, "the pattern finds them"
    assert answered == {code for code, _ in _faults_in(now)}
    assert not answered & {code for code, _ in _faults_in(later)}


def _commands() -> dict[str, list[str]]:
    """Every command with its options, as typed."""
    group = typer.main.get_command(cli)
    return {
        name: [option for parameter in command.params for option in parameter.opts]
        for name, command in group.commands.items()  # type: ignore[attr-defined]  # a Group
    }


def test_every_command_and_option_is_documented() -> None:
    operations = (DOCS / "operations.md").read_text()
    both = operations + (DOCS / "configuration.md").read_text()
    commands = _commands()
    assert "serve" in commands
    for name, options in commands.items():
        assert re.search(rf"\| `sseproxy {name}\b", operations), f"sseproxy {name}"
        for option in options:
            if option.startswith("--"):
                assert re.search(rf"(?<![\w-]){option}(?![\w-])", both), f"{name} {option}"


def test_no_command_is_documented_that_does_not_exist() -> None:
    named = set(re.findall(r"`sseproxy ([a-z-]+)", (DOCS / "operations.md").read_text()))
    assert named == set(_commands())


def _anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", title.lower()) for title in titles)
    return {title.strip().replace(" ", "-") for title in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    if page.name == "template.md":
        return
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), target
        assert found.is_relative_to(ROOT), target
        if anchor:
            assert anchor in _anchors(found), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_path_of_a_machine(page: Path) -> None:
    found = re.findall(
        r"(?<![\w.~-])/(?:home|root|work|tmp|Users|var/folders)/\S*", page.read_text()
    )
    assert not found


def test_every_decision_is_in_the_index_by_its_title() -> None:
    folder = DOCS / "decisions"
    index = (folder / "README.md").read_text()
    records = sorted(folder.glob("[0-9]*.md"))
    assert [record.name[:4] for record in records] == [
        f"{number:04}" for number in range(1, len(records) + 1)
    ]
    for record in records:
        title = record.read_text().splitlines()[0].removeprefix(f"# {record.name[:4]}: ")
        assert f"| [{record.name[:4]}]({record.name}) | {title} |" in index


def test_the_readme_is_short_and_names_the_two_commands() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 100  # two screens
    assert "make demo" in text
    assert "make test" in text


# What an operation's handler does with it, as the table of operations words it.
HANDLED = {
    "put_object": "encrypted",
    "post_object": "encrypted; the store gets a PUT",
    "copy_object": "decrypted and encrypted, or wrapped anew",
    "upload_part_copy": "decrypted and encrypted",
    "create_multipart_upload": "encrypted",
    "upload_part": "encrypted",
    "complete_multipart_upload": "encrypted; digests and sizes of the plaintext",
    "get_object": "decrypted",
    "update_object_encryption": "checked; 501 until there is a KMS",
    "get_object_attributes": "plaintext sizes, ETags and checksums",
    "list_objects": "plaintext sizes and ETags",
    "list_parts": "plaintext sizes, ETags and checksums",
    "list_buckets": "passed, without the system bucket",
    "delete_object": "conditions on the client's ETag, then passed",
    "delete_objects": "conditions on the client's ETags, then passed",
    "abort_multipart_upload": "passed; the upload's records go with it",
    "get_bucket_encryption": "answered by the proxy",
    "put_bucket_encryption": "answered by the proxy",
    "delete_bucket_encryption": "answered by the proxy",
    "delete_bucket": "passed; what was set by API goes with it",
    "get_bucket_policy": "in two parts",
    "put_bucket_policy": "in two parts",
    "delete_bucket_policy": "in two parts",
    "plain_data_only": "passed; 501 for an encrypted object",
    "unknown_bucket_write": 'passed; 501 with "encryption" in its name',
    "not_implemented": "501",
    "passthrough": "passed",
}


def test_every_operation_is_documented_with_what_happens_to_it() -> None:
    page = (DOCS / "compatibility.md").read_text()
    section = page.partition("### Every operation")[2].partition("\n## ")[0]
    documented = {row[0]: row[1] for row in _rows(section) if row[0] != "operation"}
    assert documented == {
        operation.value: HANDLED[handler_of(operation).__name__] for operation in Operation
    }
