"""Read what a module's source defines and what each definition refers to, without running it."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from baton.codetrace.changes import changes
from baton.codetrace.scopes import (
    ReferenceVisitor,
    all_nodes,
    bound_names,
    imported_modules,
    imported_names,
    own_nodes,
)
from baton.codetrace.summary import COMPUTED_IMPORT, Definition, DefinitionText, ModuleSummary

_DYNAMIC_NAMES = frozenset({"eval", "exec", "globals", "vars", "__import__"})
_DYNAMIC_ATTRIBUTES = (
    "sys.modules",
    "sys._getframe",
    "inspect.currentframe",
    "inspect.getmodule",
    "inspect.getsource",
    "inspect.stack",
    *(f"builtins.{name}" for name in sorted(_DYNAMIC_NAMES)),
)
_IMPORTING = (
    "importlib",
    "pkgutil",
    "runpy",
    "pydoc.locate",
    "sys.modules",
    "inspect.getmodule",
    "builtins.__import__",
    "__import__",
    "pydantic.ImportString",
    "pydantic.types.ImportString",
)
_IMPORTING_WORDS = frozenset(
    {"import_string", "import_object", "import_from_string", "instantiate", "locate"}
)
"""Keywords of libraries that import an object by name: hydra, werkzeug, Django and others."""
_HARMLESS_IMPORTLIB = ("importlib.metadata.version", "importlib.resources")
_PLAIN_DECORATORS = frozenset(
    [
        "staticmethod",
        "classmethod",
        "property",
        "abstractmethod",
        "abc.abstractmethod",
        "override",
        "typing.override",
        "functools.wraps",
        "wraps",
        "functools.cached_property",
        "cached_property",
        "functools.cache",
        "cache",
        "functools.lru_cache",
        "lru_cache",
        "contextmanager",
        "contextlib.contextmanager",
        "dataclass",
        "dataclasses.dataclass",
    ]
)
"""Decorators that do not read type hints and register nothing."""


class ReadSource(NamedTuple):
    """What was read of a module's source: its summary, and the source of each definition.

    The sources have no comments or docstrings; what the module does on import has the empty name.
    """

    summary: ModuleSummary
    texts: dict[str, DefinitionText]


def read_source(source: str | bytes, package: str) -> ReadSource:
    """Read a module.

    Parameters
    ----------
    source : str or bytes
        The module's source; bytes are decoded as Python does.
    package : str
        The base of relative imports; empty for a top-level module.

    Raises
    ------
    SyntaxError
        If the source is not valid Python.
    """
    tree = ast.parse(source)
    found = _Collector(package)
    for statement in tree.body:
        found.add(statement)
    parts, on_import = found.parts()
    summary = found.summary(parts, on_import, _digest([ast.get_docstring(tree, clean=False) or ""]))
    texts = {
        name: DefinitionText(summary.definitions[name].digest, "\n\n".join(map(ast.unparse, part.nodes)))
        for name, part in parts.items()
        if part.nodes
    }
    if on_import:
        text = "\n\n".join(ast.unparse(statement.node) for statement in on_import)
        texts[""] = DefinitionText(summary.on_import_digest, text)
    return ReadSource(summary, texts)


@dataclass
class _Statement:
    """A top-level statement, or the head of a definition: what decorators and bases do on import."""

    node: ast.stmt
    text: str
    notes: str
    refs: set[str]
    maybe_refs: set[str]
    calls: set[str]
    dynamic: set[str]
    acts: bool
    finds_subclasses: bool
    reads_notes: bool
    bound: set[str] = field(default_factory=set)
    is_definition: bool = False
    changed: set[str] = field(default_factory=set)
    """Names whose attributes or members are set or deleted."""
    given: set[str] = field(default_factory=set)
    """Names that a called function or method may change."""
    head: _Statement | None = None
    position: int = 0


@dataclass
class _Part:
    """The code that binds or changes one name."""

    statements: list[_Statement] = field(default_factory=list)
    order: str = ""

    @property
    def nodes(self) -> list[ast.stmt]:
        return [statement.node for statement in self.statements]


class _Collector:
    """Sorts a module's top-level statements by the names they bind or change."""

    def __init__(self, package: str) -> None:
        self.package = package
        self.imports: dict[str, tuple[str, ...]] = {}
        self.imported_at: dict[str, list[tuple[int, str]]] = {}
        self.stars: list[str] = []
        self.loads: list[str] = []
        self.statements: list[_Statement] = []
        self.bases: dict[str, tuple[str, ...]] = {}
        self.exported: tuple[str, ...] | None = None

    def add(self, statement: ast.stmt) -> None:
        """Add one top-level statement."""
        if isinstance(statement, ast.If) and _is_type_checking(statement.test):
            for name in _typing_names(statement.body, self.package):
                self.imports.setdefault(name, ())
            for inner in statement.orelse:
                self.add(inner)
            return
        if isinstance(statement, ast.If) and _is_main_guard(statement.test):
            for inner in statement.orelse:
                self.add(inner)
            return
        imported = self._add_imports(statement)
        if isinstance(statement, ast.Import | ast.ImportFrom) or _is_bare_constant(statement):
            return
        self._add_exported(statement)
        notes = normalise(statement, self.imports)
        bound = set(bound_names([statement])) | imported
        found = self._read(statement, notes)
        found.bound = bound
        found.is_definition = isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        found.changed, found.given, acts = changes(statement)
        found.acts |= acts
        if found.is_definition:
            head = self._read(_head_of(statement), "")
            head.node, head.bound = statement, bound
            found.head = head
        if isinstance(statement, ast.ClassDef):
            bases = ReferenceVisitor(self.package)
            for base in statement.bases:
                bases.visit(base)
            self.bases[statement.name] = tuple(sorted(bases.refs))
        self.statements.append(found)

    def _read(self, statement: ast.stmt, notes: str) -> _Statement:
        visitor = ReferenceVisitor(self.package)
        visitor.visit(statement)
        return _Statement(
            node=statement,
            text=ast.dump(statement),
            notes=notes,
            refs=visitor.refs,
            maybe_refs=visitor.maybe_refs,
            calls=visitor.calls,
            dynamic=visitor.dynamic,
            acts=visitor.acts,
            finds_subclasses=visitor.finds_subclasses,
            reads_notes=visitor.reads_notes,
            position=len(self.statements) + sum(map(len, self.imported_at.values())),
        )

    def parts(self) -> tuple[dict[str, _Part], list[_Statement]]:
        """Return the statements by the names that they bind or change, and those that act on import."""
        parts: dict[str, _Part] = {}
        on_import: list[_Statement] = []
        local = {name for statement in self.statements for name in statement.bound}
        variables = {name for one in self.statements if not one.is_definition for name in one.bound}
        variables -= set(self.imports)
        for statement in self.statements:
            self._resolve(statement, local)
            head = statement.head
            if head is not None:
                self._resolve(head, local)
            for name in statement.bound:
                parts.setdefault(name, _Part()).statements.append(statement)
            touched = (statement.changed & (local | set(self.imports))) | (statement.given & variables)
            for name in touched - statement.bound:
                parts.setdefault(name, _Part()).statements.append(head or statement)
            acting = head or statement
            if head is None:
                acting.acts |= bool(statement.changed & set(self.imports))
            else:
                acting.acts |= bool(statement.changed - local)
            if acting.acts or acting.calls:
                on_import.append(acting)
        self._order(parts)
        self._note_early_uses(parts)
        return parts, on_import

    def _note_early_uses(self, parts: Mapping[str, _Part]) -> None:
        """Record names that run on import before they are bound: they fail, or mean something else."""
        first = {name: min(one.position for one in part.statements) for name, part in parts.items()}
        for name, imported in self.imported_at.items():
            at = min(position for position, _ in imported)
            first[name] = min(first.get(name, at), at)
        for part in parts.values():
            early = {
                root
                for one in part.statements
                for root in (ref.lstrip("@").split(".")[0] for ref in (one.head or one).refs)
                if first.get(root, one.position) > one.position and root not in one.bound
            }
            if early:
                part.order += f" before {' '.join(sorted(early))}"

    def _order(self, parts: Mapping[str, _Part]) -> None:
        """Record the order of statements if a name is bound or changed more than once."""
        often = {name for name, part in parts.items() if len(part.statements) > 1}
        often |= {name for name in parts if name in self.imported_at}
        if not often:
            return
        uses = {
            name: {ref.lstrip("@").split(".")[0] for one in part.statements for ref in one.refs}
            for name, part in parts.items()
        }
        for name, part in parts.items():
            reached, waiting = {name}, [name]
            while waiting:
                new = (uses[waiting.pop()] & parts.keys()) - reached
                reached |= new
                waiting += new
            if not (reached & often):
                continue
            at = sorted({(one.position, known) for known in reached for one in parts[known].statements})
            at += [
                (where, f"{known}={target}")
                for known in reached
                for where, target in self.imported_at.get(known, ())
            ]
            part.order = " ".join(known for _, known in sorted(at))

    def summary(
        self, parts: Mapping[str, _Part], on_import: Sequence[_Statement], notes: str
    ) -> ModuleSummary:
        """Return a summary of everything that was added."""
        definitions = {}
        for name, part in parts.items():
            refs = {"@" + target.replace(":", ".") for target in self.imports.get(name, ())}
            is_variable = any(not one.is_definition and one.head is None for one in part.statements)
            is_variable &= not any(one.is_definition and name in one.bound for one in part.statements)
            definitions[name] = _definition(part.statements, part.order, refs, is_variable)
        return ModuleSummary(
            definitions=definitions,
            imports=self.imports,
            stars=tuple(self.stars),
            on_import=tuple(
                msgspec.structs.replace(
                    _definition([one], "", set(), is_variable=True), name=getattr(one.node, "name", "")
                )
                for one in on_import
            ),
            loads=tuple(dict.fromkeys(self.loads)),
            bases=self.bases,
            exported=self.exported,
            notes=notes,
        )

    def _add_imports(self, statement: ast.stmt) -> set[str]:
        taken: set[str] = set()
        position = len(self.statements) + sum(map(len, self.imported_at.values()))
        for node in own_nodes(statement):
            if not isinstance(node, ast.Import | ast.ImportFrom):
                continue
            self.loads += imported_modules(node, self.package)
            for name, target in imported_names(node, self.package):
                if name == "*":
                    self.stars.append(target)
                    continue
                if not isinstance(statement, ast.Import | ast.ImportFrom):
                    taken.add(name)
                earlier = [one for one in self.imports.get(name, ()) if one != target]
                self.imports[name] = (*earlier, target)
                self.imported_at.setdefault(name, []).append((position, target))
        return taken

    def _add_exported(self, statement: ast.stmt) -> None:
        if not isinstance(statement, ast.Assign) or [ast.unparse(t) for t in statement.targets] != [
            "__all__"
        ]:
            return
        try:
            self.exported = tuple(str(name) for name in ast.literal_eval(statement.value))
        except (ValueError, TypeError):
            self.exported = None

    def _resolve(self, statement: _Statement, local: set[str]) -> None:
        """Keep the uncertain references that this module defines, and list what cannot be followed."""
        known = local | set(self.imports)
        statement.refs |= {ref for ref in statement.maybe_refs if self.stars or ref.split(".")[0] in known}
        for ref in sorted(statement.refs):
            root, _, rest = ref.partition(".")
            if ref[0] in "@!":
                dotted = [ref[1:]] if ref[0] == "@" else []
            elif root in self.imports:
                dotted = [f"{target.replace(':', '.')}.{rest}".rstrip(".") for target in self.imports[root]]
            else:
                dotted = [] if root in local else [ref]
            for name in dotted:
                self._name_dynamic(statement, name)

    @staticmethod
    def _name_dynamic(statement: _Statement, name: str) -> None:
        if name in _DYNAMIC_NAMES or name.startswith(_DYNAMIC_ATTRIBUTES):
            statement.dynamic.add(name)
        if name in ("importlib.import_module", "__import__"):
            if not statement.dynamic & {"import_module"}:  # otherwise every call names its module
                statement.dynamic.add(COMPUTED_IMPORT)
        elif (name.startswith(_IMPORTING) and not name.startswith(_HARMLESS_IMPORTLIB)) or name.rpartition(
            "."
        )[2] in _IMPORTING_WORDS:
            statement.dynamic.add(COMPUTED_IMPORT)


def normalise(statement: ast.stmt, imports: Mapping[str, tuple[str, ...]]) -> str:
    """Remove from a statement what does not affect its behaviour, and return its source.

    Removed are docstrings, type hints of functions that no decorator can read, bare ``pass``, the ``u`` of
    ``u"text"``, and baton's own task decorator, which holds retries, timeouts and targets; names and kinds
    of outputs are in the cache key anyway.
    """
    notes: list[str] = []
    for node in all_nodes(statement):
        if isinstance(node, ast.Constant) and node.kind is not None:
            node.kind = None
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            _move_hints(node, imports, notes)
        for name, value in ast.iter_fields(node):
            if isinstance(value, ast.JoinedStr):
                setattr(node, name, _plain_text(value))
            elif isinstance(value, list):
                for index, item in enumerate(value):
                    if isinstance(item, ast.JoinedStr):
                        value[index] = _plain_text(item)
        if "body" in node._fields:
            for block in ("body", "orelse", "finalbody"):
                inner = getattr(node, block, None)
                if isinstance(inner, list) and any(_is_no_op(one) for one in inner):
                    notes += [ast.dump(one) for one in inner if _is_bare_constant(one)]
                    kept = [one for one in inner if not _is_no_op(one)]
                    setattr(node, block, kept or ([ast.Pass()] if block == "body" else []))
    return "\n".join(notes)


def _move_hints(
    node: ast.FunctionDef | ast.AsyncFunctionDef, imports: Mapping[str, tuple[str, ...]], notes: list[str]
) -> None:
    """Move type hints that only a type checker reads out of the code that counts."""
    node.decorator_list = [d for d in node.decorator_list if not _is_task_decorator(d, imports)]
    node.type_comment = None
    if not all(_is_plain(decorator) for decorator in node.decorator_list):
        return
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    for holder in [*arguments, node.args.vararg, node.args.kwarg]:
        if holder is not None and holder.annotation is not None:
            notes.append(ast.dump(holder))
            _set_hint(holder, "annotation")
    if node.returns is not None:
        notes.append(ast.dump(node.returns))
        _set_hint(node, "returns")


def _set_hint(holder: ast.arg | ast.FunctionDef | ast.AsyncFunctionDef, name: str) -> None:
    """Replace a hint by one that `ast.dump` omits but that is still followed as a reference."""
    hint = getattr(holder, name)
    setattr(holder, name, None)
    holder.__dict__["hints"] = [*holder.__dict__.get("hints", []), hint]


def _plain_text(node: ast.JoinedStr) -> ast.expr:
    """Return an f-string without fields as a plain string."""
    if all(isinstance(value, ast.Constant) for value in node.values):
        return ast.Constant(
            "".join(str(value.value) for value in node.values if isinstance(value, ast.Constant))
        )
    return node


def _head_of(statement: ast.stmt) -> ast.stmt:
    """Return the part of a definition that runs on import: decorators, defaults, bases, class variables."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
        head = type(statement)(**dict(ast.iter_fields(statement)))
        head.body = [ast.Pass()]
        return head
    assert isinstance(statement, ast.ClassDef)
    head_class = ast.ClassDef(**dict(ast.iter_fields(statement)))
    head_class.body = [
        _head_of(one) if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) else one
        for one in statement.body
    ]
    return head_class


def _definition(
    statements: Sequence[_Statement], order: str, refs: set[str], is_variable: bool
) -> Definition:
    imported = {ref[1:] for ref in refs}
    return Definition(
        digest=_digest([*(one.text for one in statements), order, *sorted(imported)]),
        notes=_digest([one.notes for one in statements]),
        refs=tuple(sorted(refs.union(*(one.refs for one in statements)))),
        calls=tuple(sorted(set().union(*(one.calls for one in statements)))),
        dynamic=tuple(sorted(set().union(*(one.dynamic for one in statements)))),
        acts=any(one.acts for one in statements),
        is_variable=is_variable,
        finds_subclasses=any(one.finds_subclasses for one in statements),
        reads_notes=any(one.reads_notes for one in statements),
    )


def _digest(texts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _is_no_op(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Pass) or _is_bare_constant(statement)


def _is_bare_constant(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _is_plain(decorator: ast.expr) -> bool:
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    name = ast.unparse(target)
    return name in _PLAIN_DECORATORS or name.endswith((".setter", ".deleter"))


def _is_task_decorator(decorator: ast.expr, imports: Mapping[str, tuple[str, ...]]) -> bool:
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    root, _, rest = ast.unparse(target).partition(".")
    sources = imports.get(root, ())
    dotted = {f"{source.replace(':', '.')}.{rest}".rstrip(".") for source in sources}
    return bool(dotted) and dotted <= {"baton.task", "baton.core.task.task"}


def _is_type_checking(test: ast.expr) -> bool:
    return ast.unparse(test).rpartition(".")[2] == "TYPE_CHECKING"


def _is_main_guard(test: ast.expr) -> bool:
    return ast.unparse(test) in ("__name__ == '__main__'", "'__main__' == __name__")


def _typing_names(body: Iterable[ast.stmt], package: str) -> Iterator[str]:
    """Yield names that exist only for type checkers; they are not followed."""
    yield from bound_names(body)
    for statement in body:
        for node in own_nodes(statement):
            if isinstance(node, ast.Import | ast.ImportFrom):
                yield from (name for name, _ in imported_names(node, package))
