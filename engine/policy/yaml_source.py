"""Documents: YAML files read into strict blocks, with every problem told at once, by file, line and path.

The only file that knows ruamel. Every scalar stays the text that was written: nothing is guessed about `no` or `012`.
"""

import difflib
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Annotated, Any, Generic, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from engine.policy.quantities import BROKEN, DEFER_CHECKS, UNIT_TEXTS, Block, Path, Problem, Scalar, got, path_text

DOCUMENT_BYTES_MAX = 4_000_000
VALUES_MAX = 200_000  # of one document, aliases counted each time
TAKEN_OUT = "none"
NO_CHANGES: Mapping[str, str] = types.MappingProxyType({})
REPAIRS_MAX = 8  # rounds of validation; each sees what the one before hid

B = TypeVar("B", bound=Block)


class DocumentError(Exception):
    """A document that cannot be used, with all its problems: `file:line: path must … (got …)`.

    partial: what could be read of it, without the broken fields; None where that is nothing.
    """

    def __init__(self, problems: Iterable[str], partial: "Loaded[Any] | None" = None) -> None:
        self.problems = list(problems)
        self.partial = partial
        super().__init__("\n".join(self.problems))

    @classmethod
    def at(cls, source: str, problems: Iterable[tuple[str, str]]) -> "DocumentError":
        """Problems as (path, sentence). A Source of `read` knows their lines; any other text stands for the file."""
        if isinstance(source, Source):
            return cls(source.sentences(source.lined((parsed_path(path), sentence)) for path, sentence in problems))
        return cls(f"{source}: {path} {sentence}" for path, sentence in problems)


class Source(str):
    """The name of a file that was read, and the line (from 1) of every path in it."""

    lines: dict[Path, int]

    def line(self, path: Path) -> int:
        """The line of a path, or of the nearest block around it."""
        while path not in self.lines and path:
            path = path[:-1]
        return self.lines.get(path, 1)

    def lined(self, problem: Problem) -> tuple[int, str]:
        """The line of a problem and its sentence."""
        path, sentence = problem
        return self.line(path), f"{path_text(path) or 'the document'} {sentence}"

    def sentences(self, rows: Iterable[tuple[int, str]]) -> list[str]:
        """`file:line: path must …`, by line, each once."""
        return [f"{self}:{line}: {sentence}" for line, sentence in sorted(dict.fromkeys(rows), key=lambda row: row[0])]


def parsed_path(text: str) -> Path:
    """The path of a text like `campaigns.first_use.caps[0].most`."""
    steps = text.replace("[", ".[").split(".") if text else []
    return tuple(int(step[1:-1]) if step.startswith("[") else step for step in steps if step)


@dataclass(frozen=True)
class Loaded(Generic[B]):
    """A document that is right, and where everything in it stands."""

    document: B
    source: Source


def load(path: str | FilePath, model: type[B]) -> B:
    """The document of a file. Raises DocumentError with all problems."""
    return read(path, model).document


def load_text(text: str, name: str, model: type[B]) -> B:
    """The document of a text; `name` stands for its file. Raises DocumentError."""
    return read_text(text, name, model).document


def read(path: str | FilePath, model: type[B], changes: Mapping[str, str] = NO_CHANGES) -> Loaded[B]:
    """As `load`, with the lines of everything, for problems that show only later.

    changes: path → YAML text put there before anything is checked; `none` takes the field out.
    """
    return read_text(file_text(FilePath(path)), str(path), model, changes)


def read_text(text: str, name: str, model: type[B], changes: Mapping[str, str] = NO_CHANGES) -> Loaded[B]:
    tree = Tree.of(text, name)
    for path, written in changes.items():
        tree.change(path, written)
    document = validated(tree, model)
    loaded = None if document is None else Loaded(document, tree.source)
    if tree.problems or loaded is None:
        raise DocumentError(tree.source.sentences(tree.problems), loaded)
    return loaded


def file_text(path: FilePath) -> str:
    """The text of a file of UTF-8, with or without a byte order mark."""
    try:
        with path.open("rb") as file:
            content = file.read(DOCUMENT_BYTES_MAX + 1)
    except FileNotFoundError:
        raise DocumentError([f"{path}: the document must be a file that exists (got no such file)"]) from None
    except IsADirectoryError:
        raise DocumentError([f"{path}: the document must be a file (got a folder)"]) from None
    except OSError as error:
        raise DocumentError([f"{path}: the document must be a file that can be read (got {error.strerror})"]) from None
    if len(content) > DOCUMENT_BYTES_MAX:
        raise DocumentError([f"{path}: the document must have at most {DOCUMENT_BYTES_MAX} bytes (got more)"])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        byte = f"byte 0x{content[error.start]:02x}"
        raise DocumentError([f"{path}:{line}: the document must be UTF-8 text (got {byte})"]) from None


# --- YAML → a tree of dicts, lists and Scalars ------------------------------------------------------------------------
@dataclass
class Tree:
    """A document as written, and what is wrong with it so far."""

    root: Any
    source: Source
    problems: list[tuple[int, str]] = field(default_factory=list)  # line, sentence

    @classmethod
    def of(cls, text: str, name: str) -> "Tree":
        """Raises DocumentError where the text is no YAML at all."""
        source = Source(name)
        source.lines = {(): 1}
        tree = cls(None, source)
        node = composed(text, name)
        if node is None:
            raise DocumentError([f"{name}:1: the document must be a block of fields (got nothing)"])
        reader = NodeReader(tree)
        try:
            tree.root = reader.value(node, ())
        except RecursionError:
            raise DocumentError([f"{name}:1: the document must not be nested without end"]) from None
        return tree

    def at(self, path: Path) -> Any:
        """The written value at a path; None where there is none."""
        value = self.root
        for step in path:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def tell(self, path: Path, sentence: str, line: int | None = None) -> None:
        own_line, text = self.source.lined((path, sentence))
        self.problems.append((own_line if line is None else line, text))

    def put(self, path: Path, value: Any) -> None:
        if not path:
            self.root = value
        elif isinstance(inside := self.at(path[:-1]), dict | list):
            inside[path[-1]] = value  # type: ignore[index]

    def change(self, where: str, text: str) -> None:
        """Put a YAML text at a path, or take out what is there; a new path has the line of the block around it."""
        path, lines = parsed_path(where), self.source.lines
        inside, last = self.at(path[:-1]), path[-1] if path else ""
        if not isinstance(inside, dict | list) or (isinstance(inside, list) and last not in range(len(inside))):
            self.tell(path, f"must be there to be set (got nothing at {path_text(path[:-1]) or 'the top'})")
        elif text == TAKEN_OUT:
            self.drop(path)
        elif (node := composed(text, f"{self.source}: {where}")) is not None:
            line, before = self.source.line(path), set(lines)
            self.put(path, NodeReader(self).value(node, path))
            lines.update(dict.fromkeys(set(lines) - before, line))

    def drop(self, path: Path) -> None:
        *around, last = path
        if isinstance(inside := self.at(tuple(around)), dict):
            inside.pop(last, None)
        elif isinstance(inside, list) and last in range(len(inside)):
            del inside[int(last)]  # those behind it move up, and have the line of the list
            for moved in [p for p in self.source.lines if [*p[: len(around)]] == around and len(p) > len(around)]:
                del self.source.lines[moved]


def composed(text: str, name: str) -> Node | None:
    """The YAML nodes of a text."""
    try:
        node: Node | None = YAML(typ="safe", pure=True).compose(text)
        return node
    except RecursionError:
        raise DocumentError([f"{name}:1: the document must not be nested without end"]) from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 1
        raise DocumentError([f"{name}:{line}: the document {yaml_sentence(error, text, line)}"]) from None
    except YAMLError as error:
        position = getattr(error, "position", 0)
        line = text[:position].count("\n") + 1
        reason = getattr(error, "reason", "unreadable text")
        raise DocumentError([f"{name}:{line}: the document must be YAML: {reason}"]) from None


def yaml_sentence(error: MarkedYAMLError, text: str, line: int) -> str:
    lines = text.splitlines()
    written = lines[line - 1] if line <= len(lines) else ""
    if "\t" in written[: len(written) - len(written.lstrip())]:
        return "must be indented with spaces (got a tab)"
    if "expected a single document" in str(error.context or ""):
        return "must be one document (got a second one after ---)"
    what = "; ".join(" ".join(str(part).split()) for part in (error.context, error.problem) if part)
    return f"must be YAML: {what} (got {got(written)})"


class NodeReader:
    """Turns YAML nodes into plain values, keeping their lines."""

    def __init__(self, tree: Tree) -> None:
        self.tree, self.values, self.around = tree, 0, set[int]()

    def value(self, node: Node, path: Path) -> Any:
        self.values += 1
        if self.values > VALUES_MAX:
            raise DocumentError([f"{self.tree.source}: the document must have at most {VALUES_MAX} values (got more)"])
        self.tree.source.lines.setdefault(path, node.start_mark.line + 1)
        if str(node.tag).startswith("!") and str(node.tag) != "!":
            self.tree.tell(path, f"must not have a tag (got {node.tag})")
        if isinstance(node, ScalarNode):
            return Scalar(node.value, quoted=bool(node.style))
        if id(node) in self.around:
            self.tree.tell(path, "must not contain itself")
            return BROKEN
        self.around.add(id(node))
        try:
            return self.mapping(node, path) if isinstance(node, MappingNode) else self.sequence(node, path)
        finally:
            self.around.discard(id(node))

    def sequence(self, node: Node, path: Path) -> list[Any]:
        return [self.value(child, (*path, number)) for number, child in enumerate(node.value)]

    def mapping(self, node: MappingNode, path: Path) -> dict[Scalar, Any]:
        result: dict[Scalar, Any] = {}
        lines: dict[Scalar, int] = {}
        for key, child in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, ScalarNode):
                self.tree.tell(path, f"must have names before its colons (got {got(key_value(key))})")
                continue
            name = Scalar(key.value, quoted=bool(key.style))
            inner = (*path, str(name))
            if name in lines:
                self.tree.tell(inner, f"must be given once (got it in lines {lines[name]} and {line})", line)
                continue
            lines[name] = line
            self.tree.source.lines[inner] = line
            result[name] = self.value(child, inner)
            if isinstance(child, ScalarNode) and child.value:
                self.tree.source.lines[inner] = max(line, child.start_mark.line + 1)
        return result


def key_value(node: Node) -> object:
    return [] if isinstance(node, SequenceNode) else {}


# --- Tree → model -----------------------------------------------------------------------------------------------------
def validated(tree: Tree, model: type[B]) -> B | None:
    """The document; problems of fields and between fields are added to the tree's, all in one go.

    What a round of validation refuses is told and replaced by BROKEN, so that the checks of the rest still run.
    """
    context = DEFER_CHECKS | {"folder": FilePath(tree.source).parent}
    for _ in range(REPAIRS_MAX):
        try:
            document = model.model_validate(tree.root, context=context, by_alias=True, by_name=False)
        except ValidationError as error:
            refusals = [Refusal.of(tree, model, dict(one)) for one in error.errors(include_url=False)]
            for refused in refusals:
                tree.tell(refused.path, refused.sentence)
            for refused in refusals:
                refused.take_out(tree)
        else:
            for path, sentence in problems_of(document, ()):
                tree.tell(path, sentence)
            return document
    return None


def problems_of(value: object, path: Path) -> Iterator[Problem]:
    """What the checks of a block and of all blocks inside find."""
    if isinstance(value, Block):
        yield from ((path + below, sentence) for below, sentence in value.own_problems())
        for name, inner in value.__dict__.items():
            alias = type(value).model_fields[name].alias
            yield from problems_of(inner, (*path, alias or name))
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from problems_of(inner, (*path, str(key)))
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from problems_of(inner, (*path, number))


@dataclass(frozen=True)
class Refusal:
    """One of pydantic's errors, in the document's words."""

    path: Path
    sentence: str
    broken: Path | None  # the smallest block or field of a block around it; None where the entry itself must go

    @classmethod
    def of(cls, tree: Tree, model: type[Block], error: dict[str, Any]) -> "Refusal":
        is_key = error["loc"][-1:] == ("[key]",)
        path = known_path(tree, error["loc"][:-1] if is_key else error["loc"], missing=error["type"] == "missing")
        places = [Place.of(model)]
        for step in path:
            places.append(places[-1].below(step))
        at = next((n for n in range(len(path), 0, -1) if places[n].block or places[n - 1].block), 0)
        goes = is_key or error["type"] == "extra_forbidden"
        return cls(path, sentence_of(tree, error, path, places, is_key), None if goes else path[:at])

    def take_out(self, tree: Tree) -> None:
        """Out of the way of the next round."""
        if self.broken is None:
            tree.drop(self.path)
        else:
            tree.put(self.broken, BROKEN)


def known_path(tree: Tree, loc: tuple[str | int, ...], missing: bool) -> Path:
    """pydantic's location without the steps that stand for alternatives of a type."""
    path: Path = ()
    for number, step in enumerate(loc):
        inside = tree.at(path)
        is_last = number == len(loc) - 1
        fits = isinstance(inside, dict) and (step in inside or (missing and is_last))
        fits = fits or (isinstance(inside, list) and isinstance(step, int) and step < len(inside))
        path = (*path, step) if fits else path
    return path


@dataclass(frozen=True)
class Place:
    """What the models say of one place: its type, and the unit of a quantity."""

    annotation: Any
    metadata: tuple[Any, ...] = ()

    @classmethod
    def of(cls, annotation: Any, metadata: tuple[Any, ...] = ()) -> "Place":
        """Without the wrappings: Annotated, and `| None`."""
        origin = get_origin(annotation)
        if origin is Annotated:
            inner, *more = get_args(annotation)
            return cls.of(inner, (*metadata, *more))
        if origin in (Union, types.UnionType):
            options = [option for option in get_args(annotation) if option is not type(None)]
            if len(options) == 1:
                return cls.of(options[0], metadata)
        return cls(annotation, metadata)

    @property
    def block(self) -> type[Block] | None:
        return self.annotation if isinstance(self.annotation, type) and issubclass(self.annotation, Block) else None

    def fields(self) -> dict[str, Any]:
        """Fields of a block as a document names them."""
        if not (isinstance(self.annotation, type) and issubclass(self.annotation, BaseModel)):
            return {}
        return {info.alias or name: info for name, info in self.annotation.model_fields.items()}

    def below(self, step: str | int) -> "Place":
        origin, arguments = get_origin(self.annotation), get_args(self.annotation)
        if origin is dict:
            return Place.of(arguments[1])
        if origin in (list, tuple):
            return Place.of(arguments[0])
        info = self.fields().get(str(step))
        return Place.of(info.annotation, tuple(info.metadata)) if info is not None else Place(None)

    def written(self, number: float) -> str:
        """A bound in the words of the quantity here."""
        for item in self.metadata:
            if getattr(item, "func", None) in UNIT_TEXTS:
                return UNIT_TEXTS[item.func](int(number))
        return str(number)


COMPARISONS = {"greater_than": ">", "greater_than_equal": ">=", "less_than": "<", "less_than_equal": "<="}
BLOCK_ERRORS = {"model_type", "model_attributes_type", "dict_type", "mapping_type"}
LIST_ERRORS = {"list_type", "tuple_type", "set_type"}


def sentence_of(tree: Tree, error: dict[str, Any], path: Path, places: list[Place], is_key: bool) -> str:
    """`must … (got …)` for one of pydantic's errors."""
    kind, context = str(error["type"]), error.get("ctx") or {}
    value = path[-1] if is_key else tree.at(path)
    if kind == "refusal":
        return str(context["sentence"])
    if kind == "missing":
        return "must be given"
    if kind == "extra_forbidden":
        return f"must not be here ({hint(str(path[-1]), list(places[-2].fields()))})"
    if kind in BLOCK_ERRORS:
        return f"must be a block of fields (got {got(value)})"
    if kind in LIST_ERRORS:
        return f"must be a list (got {got(value)})"
    if kind == "literal_error":
        return f"must be one of {choices(places, context, is_key)} (got {got(value)})"
    if kind in COMPARISONS:
        bound = next(context[key] for key in ("ge", "gt", "le", "lt") if key in context)
        return f"must be {COMPARISONS[kind]} {places[-1].written(bound)} (got {got(value)})"
    if kind in ("too_long", "too_short"):
        bound, most = (context["max_length"], "most") if kind == "too_long" else (context["min_length"], "least")
        size = len(value) if isinstance(value, list | dict) else context["actual_length"]
        return f"must have at {most} {bound} {'entry' if bound == 1 else 'entries'} (got {size})"
    words = str(error["msg"]).removeprefix("Value error, ")
    return words if words.startswith("must ") else f"must be right: {words[:1].lower()}{words[1:]} (got {got(value)})"


def hint(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    return (f"did you mean '{close[0]}'? " if close else "") + f"known: {', '.join(known)}"


def choices(places: list[Place], context: dict[str, Any], is_key: bool) -> str:
    annotation = get_args(places[-2].annotation)[0] if is_key else places[-1].annotation
    options = get_args(annotation)
    return ", ".join(str(option) for option in options) if options else str(context.get("expected", ""))
