"""From a YAML file to a Config, or to every error in it with file, line and key."""

from __future__ import annotations

import os
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path

import yaml
from pydantic import ValidationError

from sseproxy.config.check import check
from sseproxy.config.fields import Sources
from sseproxy.config.model import Config
from sseproxy.errors import ConfigError

Loc = tuple[str | int, ...]

_MAX_YAML_BYTES = 4 * 1024 * 1024
_MESSAGES = {
    "extra_forbidden": "is no setting that sseproxy knows",
    "missing": "is required",
    "string_type": "should be a text; put a number or yes/no in quotes",
    "bool_type": "should be true or false",
    "model_type": "should be a group of settings (`key: value`)",
    "model_attributes_type": "should be a group of settings (`key: value`)",
    "dict_type": "should be a group of settings (`key: value`)",
    "list_type": "should be a list (`- item`)",
}


class InvalidConfigError(ConfigError):
    """All that is wrong with a configuration; `str` has a line for each.

    problems: at least one ConfigError. file, line and key are the first one's.
    """

    def __init__(self, problems: Sequence[ConfigError]) -> None:
        first = problems[0]
        super().__init__(first.message, file=first.file, line=first.line, key=first.key)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


def load_config(path: Path, environ: Mapping[str, str] | None = None) -> Config:
    """The configuration in a YAML file, checked as a whole (docs/configuration.md).

    environ: os.environ if None. Raises InvalidConfigError with every error there is, by line.
    """
    text = _read(path)
    return parse_config(text, path, os.environ if environ is None else environ)


def parse_config(text: str, path: Path, environ: Mapping[str, str]) -> Config:
    """As load_config, for the text of the file at `path`."""
    root = _compose(text, path)
    duplicates = [
        ConfigError("is set twice", file=str(path), line=line, key=_dotted(loc))
        for loc, line in _duplicates(root, ())
    ]
    if duplicates:
        raise InvalidConfigError(duplicates)
    loader = yaml.SafeLoader("")
    try:
        document = loader.construct_document(root)
    except yaml.YAMLError as error:
        raise _yaml_problem(error, path) from None
    finally:
        loader.dispose()
    context = Sources(folder=path.parent, environ=environ)
    try:
        config = Config.model_validate(document, context=context)
    except ValidationError as error:
        # `from None`: the original quotes values, which may be secrets.
        raise _located(findings(error), root, path) from None
    wrong = check(config, own_service_account=True)
    if wrong:
        raise _located(wrong, root, path)
    return config


def findings(error: ValidationError) -> list[tuple[Loc, str]]:
    """(place, message) of each error that pydantic found; no message quotes a value."""
    found = []
    for item in error.errors(include_url=False, include_context=True, include_input=False):
        message = _MESSAGES.get(item["type"], item["msg"].removeprefix("Value error, "))
        message = re.sub("^(Input|Value|List|String) should", "should", message)
        # The key itself of a mapping is marked so by pydantic; its place is the entry.
        loc = tuple(part for part in item["loc"] if part != "[key]")
        found.append((loc, message))
    return found


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_YAML_BYTES + 1)
    except OSError as error:
        raise _problem(f"can't be read: {error.strerror}", path) from None
    if len(content) > _MAX_YAML_BYTES:
        raise _problem("is too long for a configuration", path)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _problem("is not UTF-8 text", path) from None


def _compose(text: str, path: Path) -> yaml.MappingNode:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        raise _yaml_problem(error, path) from None
    if not isinstance(root, yaml.MappingNode):
        raise _problem("should be a group of settings (`key: value`)", path)
    return root


def _yaml_problem(error: Exception, path: Path) -> InvalidConfigError:
    mark = getattr(error, "problem_mark", None)
    line = mark.line + 1 if mark else None
    message = getattr(error, "problem", None) or "can't be parsed"
    return InvalidConfigError([ConfigError(f"is no YAML: {message}", file=str(path), line=line)])


def _problem(message: str, path: Path) -> InvalidConfigError:
    return InvalidConfigError([ConfigError(message, file=str(path))])


def _duplicates(node: yaml.Node, loc: Loc) -> Iterable[tuple[Loc, int]]:
    """Keys that occur twice in one mapping; YAML forbids them, and PyYAML takes the last."""
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _duplicates(item, (*loc, index))
    if not isinstance(node, yaml.MappingNode):
        return
    seen: set[Hashable] = set()
    for key, value in node.value:
        place = (*loc, str(key.value))
        if place in seen:
            yield place, key.start_mark.line + 1
        seen.add(place)
        yield from _duplicates(value, place)


def _located(wrong: Iterable[tuple[Loc, str]], root: yaml.Node, path: Path) -> InvalidConfigError:
    problems = []
    for loc, message in wrong:
        written, line = _find(root, loc)
        key = _dotted(written) or None
        problems.append(ConfigError(message, file=str(path), line=line, key=key))
    return InvalidConfigError(sorted(problems, key=lambda problem: problem.line or 0))


def _find(root: yaml.Node, loc: Loc) -> tuple[Loc, int]:
    """The place as the file has it, and its line: the nearest group's if it is not in the file."""
    node: yaml.Node | None = root
    line, written = root.start_mark.line, list(loc)
    for index, part in enumerate(loc):
        if isinstance(node, yaml.MappingNode):
            # A key that YAML takes for a number is no index.
            written[index] = str(part)
        step = None if node is None else _step(node, part)
        node, line = (None, line) if step is None else step
    return tuple(written), line + 1


def _step(node: yaml.Node, part: str | int) -> tuple[yaml.Node, int] | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        item = node.value[part]
        return item, item.start_mark.line
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if str(key.value) == str(part):
                return value, key.start_mark.line
    return None


def _dotted(loc: Loc) -> str:
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")
