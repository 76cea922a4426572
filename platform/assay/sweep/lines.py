"""Read a YAML file into plain values with line numbers.

YAML 1.2: 1e-4 is a number; `no` and `on` are text. Only plain values are built. Problems are reported for text that is
not UTF-8 or not YAML, duplicate keys, tags, and values that JSON does not have.
"""

from __future__ import annotations

import math
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError, YAMLWarning
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode
from ruamel.yaml.reader import ReaderError

from assay.errors import SpecError, SpecProblem, did_you_mean
from assay.workload import JSON

Path = tuple[str | int, ...]
MOST_VALUES = 100_000
MOST_BYTES = 4 << 20
"""Limits of a file, and of its text with aliases expanded."""
TAG = "tag:yaml.org,2002:"
TYPED = tuple(TAG + kind for kind in ("int", "float", "bool", "null"))
"""Tags of plain scalars that are not text."""
# Numbers of YAML 1.2 that ruamel leaves as text.
FLOAT = re.compile(r"[-+]?\.[0-9]+([eE][-+]?[0-9]+)?")


@dataclass(frozen=True)
class Origin:
    """Where a user wrote a value; `line` 0 stands for the command line."""

    file: str
    line: int
    path: Path


@dataclass
class Document:
    """Plain data, and the origin of every value (in a mapping, of its key)."""

    file: str
    data: JSON
    origins: dict[Path, Origin]
    problems: list[SpecProblem] = field(default_factory=list)
    unread: set[tuple[str, str]] = field(default_factory=set)
    """(file, dotted path) of unreadable values, which are null in `data`."""

    def origin(self, path: Path) -> Origin:
        """The origin of the value, or of the nearest value around it, with the rest of the path appended."""
        for length in range(len(path), -1, -1):
            origin = self.origins.get(path[:length])
            if origin is not None:
                return Origin(origin.file, origin.line, origin.path + path[length:])
        return Origin(self.file, 0, path)

    def problem(self, path: Path, message: str) -> SpecProblem:
        origin = self.origin(path)
        return SpecProblem(origin.file, origin.line, dotted(origin.path), message)


def dotted(path: Path) -> str:
    """("parameters", "sample.steps", "values", 0) as `parameters.sample.steps.values[0]`."""
    return "".join(f"[{part}]" if isinstance(part, int) else "." + (part or "''") for part in path).removeprefix(".")


def read_text(path: FilePath, file: str) -> str:
    """The file's text. Raises SpecError with one problem."""
    try:
        # Reading a pipe blocks until somebody writes; a shell's <(…), which is in /dev, has a writer.
        if path.is_fifo() and not path.is_relative_to("/dev"):
            raise OSError("it is a pipe; save the sweep to a file")
        with path.open("rb") as opened:
            raw = opened.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise SpecError([SpecProblem(file, 0, "", f"no such file{_neighbours(path)}")]) from None
    except IsADirectoryError:
        raise SpecError([SpecProblem(file, 0, "", "is a directory; name the YAML file in it")]) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SpecError([SpecProblem(file, 0, "", f"cannot be read: {reason}")]) from error
    if len(raw) > MOST_BYTES:
        message = (
            f"is larger than {MOST_BYTES >> 20} MiB, which no sweep is; ranges and partitions stand for many values"
        )
        raise SpecError([SpecProblem(file, 0, "", message)])
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        message = f"not UTF-8 text (byte 0x{raw[error.start]:02x}); save the file as UTF-8"
        raise SpecError([SpecProblem(file, line, "", message)]) from None


def _neighbours(path: FilePath) -> str:
    try:
        names = [entry.name for entry in path.parent.iterdir() if entry.suffix in (".yaml", ".yml")]
    except OSError:
        return ""
    return did_you_mean(path.name, names, "")


def parse(text: str, file: str) -> Document:
    """Parse a file's text. Raises SpecError if it is not YAML; faults of single values are in `problems`."""
    with _refusals(text, file, None):
        return _built(_compose(text), file, None)


def parse_value(text: str, file: str) -> Document:
    """Parse a value from the command line, with line 0.

    Numbers, true, false, null, quoted text, and lists and mappings in brackets are read as in a file. Anything else is
    the literal text, even if YAML would cut it (" #"), refuse it ("@") or read it differently ("a: b", "~"). Raises
    SpecError for invalid YAML in brackets, and for characters that YAML does not allow.
    """
    is_bracketed = text.lstrip().startswith(("[", "{"))
    try:
        with _refusals(text, file, 0):
            root = _compose(text)
            if root is not None and _is_all_of(root, text):
                return _built(root, file, 0)
    except SpecError as error:
        if is_bracketed or isinstance(error.__cause__, ReaderError):
            raise
    if is_bracketed:
        raise SpecError([SpecProblem(file, 0, "", "not YAML: more than one list or mapping, or one with an anchor")])
    return Document(file, text, {})


def from_values(values: Mapping[Any, Any], file: str) -> Document:
    """A document of Python values, with line 0: dicts, lists, tuples, numbers, strings and paths.

    Faults of single values are in `problems`.
    """
    document = Document(file, None, {})
    try:
        document.data = _plain(document, values, ())
    except RecursionError:
        raise SpecError([SpecProblem(file, 0, "", "nested too deeply")]) from None
    return document


def _plain(document: Document, value: Any, path: Path) -> JSON:
    document.origins[path] = Origin(document.file, 0, path)
    if isinstance(value, Mapping):
        return {str(key): _plain(document, item, (*path, str(key))) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(document, item, (*path, i)) for i, item in enumerate(value)]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if value is None or isinstance(value, (bool, int, str)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    allowed = "a finite number" if isinstance(value, float) else "numbers, text, paths, true, false, null, lists, dicts"
    document.unread.add((document.file, dotted(path)))
    document.problems.append(document.problem(path, f"got {value!r} ({type(value).__name__}), allowed: {allowed}"))
    return None


def _compose(text: str) -> Node | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", YAMLWarning)
        return YAML(typ="safe", pure=True).compose(text)


def _built(root: Node | None, file: str, line: int | None) -> Document:
    builder = _Builder(file, line)
    data = None if root is None else builder.build(root, ())
    return Document(file, data, builder.origins, builder.problems, builder.unread)


def _is_all_of(root: Node, text: str) -> bool:
    """Whether YAML read the whole text, without dropping a comment, anchor, tag or indicator."""
    written = text.strip()
    if isinstance(root, ScalarNode) and root.style is None:
        is_typed = root.tag in TYPED or FLOAT.fullmatch(root.value) is not None
        return is_typed and root.anchor is None and root.value == written and written != "~"
    is_enclosed = written.startswith(("[", "{", '"', "'")) and getattr(root, "flow_style", True)
    return is_enclosed and text[root.start_mark.index : root.end_mark.index] == written and not _has_anchor(root)


def _has_anchor(node: Node) -> bool:
    if node.anchor is not None:
        return True
    children = [] if isinstance(node, ScalarNode) else node.value
    return any(_has_anchor(part) for child in children for part in (child if isinstance(child, tuple) else (child,)))


@contextmanager
def _refusals(text: str, file: str, line: int | None) -> Iterator[None]:
    """What YAML raises of a text as a SpecError. `line` fixes the line: 0 for a value from the command line."""
    try:
        yield
    except SpecError:
        raise
    except RecursionError:
        raise SpecError([SpecProblem(file, line or 0, "", "nested too deeply")]) from None
    except ReaderError as error:
        at = text.count("\n", 0, error.position) + 1 if line is None else line
        code = error.character if isinstance(error.character, int) else ord(error.character)
        message = f"not YAML: the character U+{code:04X} is not text"
        raise SpecError([SpecProblem(file, at, "", message)]) from error
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = line if line is not None else mark.line + 1 if mark else 0
        raise SpecError([SpecProblem(file, at, "", f"not YAML: {_reason(error)}")]) from None
    except (
        YAMLError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        AssertionError,
        NotImplementedError,
    ) as error:
        # A scanner of hostile text may trip over itself; to the user that is one and the same.
        raise SpecError([SpecProblem(file, line or 0, "", f"not YAML: {type(error).__name__}: {error}")]) from error


def _reason(error: MarkedYAMLError) -> str:
    parts = [str(part).strip() for part in (error.context, error.problem) if part]
    reason = ", ".join(parts) or type(error).__name__
    return f"{reason}; indent with spaces" if "'\\t'" in reason else reason


class _Builder:
    """Builds plain values from YAML nodes."""

    def __init__(self, file: str, line: int | None) -> None:
        self.file, self.line = file, line
        self.origins: dict[Path, Origin] = {}
        self.problems: list[SpecProblem] = []
        self.unread: set[tuple[str, str]] = set()
        self.open: set[int] = set()
        self.built = self.length = 0

    def build(self, node: Node, path: Path) -> JSON:
        self.origins.setdefault(path, self.origin(node, path))
        self.built += 1
        if self.built > MOST_VALUES:  # aliases of aliases grow exponentially
            raise SpecError([SpecProblem(self.file, self.at(node), "", f"more than {MOST_VALUES:,} values")])
        if isinstance(node, ScalarNode):
            self.length += len(node.value)
            if self.length > MOST_BYTES:
                message = f"more than {MOST_BYTES >> 20} MiB of text, its aliases written out"
                raise SpecError([SpecProblem(self.file, self.at(node), "", message)])
            return self.scalar(node, path)
        if id(node) in self.open:
            self.unreadable(node, path, "an alias inside its own anchor")
            return None
        expected = TAG + ("map" if isinstance(node, MappingNode) else "seq")
        if node.tag != expected:
            self.unreadable(node, path, f"got the tag {_short(node.tag)}, allowed: plain values without tags")
            return None
        self.open.add(id(node))
        try:
            if isinstance(node, MappingNode):
                return {key: self.build(value, (*path, key)) for key, value in self.entries(node, path)}
            return [self.build(item, (*path, i)) for i, item in enumerate(node.value)]
        finally:
            self.open.discard(id(node))

    def entries(self, node: MappingNode, path: Path) -> Iterator[tuple[str, Node]]:
        """A mapping's entries, with keys as text: `250:` is the key "250"."""
        first: dict[str, int] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                self.refuse(key, path, "got a list or a mapping as a key, allowed: text")
                continue
            name = _whole_characters(str(key.value))
            if name is None:
                self.refuse(key, path, "got half of a surrogate pair in a key, allowed: whole characters")
                continue
            if key.tag == TAG + "merge":
                self.refuse(key, (*path, name), "merge keys are not part of YAML 1.2; write the keys out")
                continue
            if name in first:
                where = f", first on line {first[name]}" if first[name] else ""
                self.refuse(key, (*path, name), f"duplicate key{where}")
                continue
            first[name] = self.at(key)
            self.origins[(*path, name)] = self.origin(key, (*path, name))
            yield name, value

    def scalar(self, node: ScalarNode, path: Path) -> JSON:
        text, tag = _whole_characters(str(node.value)), str(node.tag).removeprefix(TAG)
        if text is None:
            self.unreadable(node, path, "got half of a surrogate pair, allowed: whole characters")
            return None
        if tag in ("timestamp", "value", "str"):
            return float(text) if node.style is None and tag == "str" and FLOAT.fullmatch(text) else text
        if tag == "null":
            return None
        if tag == "bool" and text.lower() in ("true", "false"):
            return text.lower() == "true"
        try:
            if tag == "int":
                return _integer(text)
            if tag == "float":
                number = float(text.replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan"))
                if math.isfinite(number):
                    return number
                self.unreadable(node, path, f"got {text[:40]}, allowed: a finite number")
                return None
        except ValueError:
            pass
        if tag in ("int", "float", "bool"):
            self.unreadable(node, path, f"got {text[:40]!r}, which cannot be read as {tag}")
        else:
            self.unreadable(node, path, f"got the tag {_short(node.tag)}, allowed: plain values without tags")
        return None

    def at(self, node: Node) -> int:
        return self.line if self.line is not None else int(node.start_mark.line) + 1

    def origin(self, node: Node, path: Path) -> Origin:
        return Origin(self.file, self.at(node), path)

    def unreadable(self, node: Node, path: Path, message: str) -> None:
        self.unread.add((self.file, dotted(path)))
        self.refuse(node, path, message)

    def refuse(self, node: Node, path: Path, message: str) -> None:
        self.problems.append(SpecProblem(self.file, self.at(node), dotted(path), message))


def _whole_characters(text: str) -> str | None:
    """The text with surrogate pairs, as in JSON escapes, joined; None for a lone surrogate, which no file can hold."""
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        return None


def _integer(text: str) -> int:
    digits = text.replace("_", "").lower()
    prefixed = digits.lstrip("+-")[:2] in ("0x", "0o", "0b")
    return int(digits, 0 if prefixed else 10)


def _short(tag: str | None) -> str:
    tag = str(tag)
    return f"!!{tag.removeprefix(TAG)}" if tag.startswith(TAG) else tag
