"""Read what a module's source defines, and what each definition refers to; nothing is imported or run."""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from baton.store.changes import changes, makers
from baton.store.scopes import (
    ReferenceVisitor,
    all_nodes,
    bound_names,
    imported_modules,
    imported_names,
    own_nodes,
    root_name,
)
from baton.store.summary import (
    COMPUTED_IMPORT,
    READS_FILES,
    Definition,
    DefinitionText,
    ModuleSummary,
)

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
_IMPORTING = ("importlib", "pkgutil", "runpy", "builtins.__import__", "__import__")
_HARMLESS_IMPORTLIB = ("importlib.metadata", "importlib.resources")
_FILE_READERS = ("importlib.resources", "pkgutil.get_data")


class ReadSource(NamedTuple):
    """What was read of a module's source: its summary, and the text of each definition as it counts.

    The texts have no comments and no docstrings; what the module does on import stands under the empty
    name.
    """

    summary: ModuleSummary
    texts: dict[str, DefinitionText]


def read_source(source: str | bytes, package: str) -> ReadSource:
    """Read a module.

    Parameters
    ----------
    source : str or bytes
        The module's text; bytes are decoded as Python does.
    package : str
        The package that relative imports start from; empty for a top-level module.

    Raises
    ------
    SyntaxError
        If the text is not Python.
    """
    tree = ast.parse(source)
    short_texts = _short_texts(tree) if _may_know_its_place(source) else ()
    found = _collect(tree, package)
    parts, on_import = found.parts()
    texts = {
        name: DefinitionText(_digest_of(part), "\n\n".join(map(ast.unparse, part.nodes)))
        for name, part in {**parts, "": on_import}.items()
        if part.nodes
    }
    return ReadSource(found.summary(parts, on_import, short_texts), texts)


def _collect(tree: ast.Module, package: str) -> _Collector:
    found = _Collector(package)
    for statement in tree.body:
        found.take(statement)
    return found


@dataclass
class _Parts:
    texts: list[str] = field(default_factory=list)
    nodes: list[ast.stmt] = field(default_factory=list)
    refs: set[str] = field(default_factory=set)
    dynamic: set[str] = field(default_factory=set)
    is_state: bool = False
    finds_subclasses: bool = False

    def add(self, statement: _Statement) -> None:
        self.texts.append(statement.text)
        self.nodes.append(statement.node)
        self.refs |= statement.refs
        self.dynamic |= statement.dynamic
        self.finds_subclasses |= statement.finds_subclasses


@dataclass
class _Statement:
    """One top-level statement: what it binds, what it changes, and what it does besides."""

    node: ast.stmt
    text: str
    refs: set[str]
    maybe_refs: set[str]
    dynamic: set[str]
    finds_subclasses: bool
    bound: set[str]
    constants: set[str]
    """Names bound to an immutable literal."""
    is_definition: bool
    changed: set[str]
    """Names whose attributes or members are set or deleted."""
    given: set[str]
    """Names that a called function or method may change."""
    acts: bool
    """Whether it calls something for what the call does."""


class _Collector:
    """Sorts a module's top-level statements by the names they bind or change."""

    def __init__(self, package: str) -> None:
        self.package = package
        self.imports: dict[str, tuple[str, ...]] = {}
        self.stars: list[str] = []
        self.loads: list[str] = []
        self.statements: list[_Statement] = []
        self.makers: dict[str, tuple[str, ...]] = {}
        self.bases: dict[str, tuple[str, ...]] = {}
        self.globals: set[str] = set()

    def take(self, statement: ast.stmt) -> None:
        """Take in one top-level statement."""
        if isinstance(statement, ast.If) and _is_type_checking(statement.test):
            for name in _typing_names(statement.body, self.package):
                self.imports.setdefault(name, ())
            for inner in statement.orelse:
                self.take(inner)
            return
        if isinstance(statement, ast.If) and _is_main_guard(statement.test):
            for inner in statement.orelse:
                self.take(inner)
            return
        imported = self._take_imports(statement)
        if isinstance(statement, ast.Import | ast.ImportFrom) or _is_bare_constant(statement):
            return
        nodes = all_nodes(statement)
        normalise(nodes, self.imports)
        self.globals |= {name for node in nodes if isinstance(node, ast.Global) for name in node.names}
        visitor = ReferenceVisitor(self.package)
        visitor.visit(statement)
        bound = set(bound_names([statement])) | imported
        self._take_makers(statement, bound)
        changed, given, acts = changes(statement)
        self.statements.append(
            _Statement(
                node=statement,
                text=ast.dump(statement),
                refs=visitor.refs,
                maybe_refs=visitor.maybe_refs,
                dynamic=visitor.dynamic,
                finds_subclasses=visitor.finds_subclasses,
                bound=bound,
                constants=bound if _binds_constant(statement) else set(),
                is_definition=isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef),
                changed=changed,
                given=given,
                acts=acts,
            )
        )
        if isinstance(statement, ast.ClassDef):
            bases = ReferenceVisitor(self.package)
            for base in statement.bases:
                bases.visit(base)
            self.bases[statement.name] = tuple(sorted(bases.refs))

    def parts(self) -> tuple[dict[str, _Parts], _Parts]:
        """Return the statements by the names that they bind or change, and those that act on import."""
        parts: dict[str, _Parts] = {}
        on_import = _Parts()
        local = {name for statement in self.statements for name in statement.bound}
        variables = self._variables
        for statement in self.statements:
            statement.refs |= {
                ref
                for ref in statement.maybe_refs
                if self.stars or ref.split(".")[0] in local | set(self.imports)
            }
            self._resolve_dynamic(statement, local)
            changed = statement.changed & (local if statement.is_definition else local | set(self.imports))
            for name in statement.bound | changed | (statement.given & variables):
                parts.setdefault(name, _Parts()).add(statement)
            if statement.acts or changed & set(self.imports):
                on_import.add(statement)
            for name in changed | (statement.given & variables):
                parts[name].is_state = True
        return parts, on_import

    @property
    def _variables(self) -> set[str]:
        bound = {name for one in self.statements if not one.is_definition for name in one.bound}
        return bound - set(self.imports)

    def summary(
        self, parts: Mapping[str, _Parts], on_import: _Parts, texts: tuple[str, ...]
    ) -> ModuleSummary:
        """Return everything that was taken in."""
        variables = self._variables
        often = [name for statement in self.statements for name in statement.bound]
        for name, part in parts.items():
            part.refs |= {"@" + target.replace(":", ".") for target in self.imports.get(name, ())}
            part.refs -= {name} if name in self.imports else set()
            constant = (
                any(name in statement.constants for statement in self.statements) and often.count(name) == 1
            )
            is_class = name in self.bases
            part.is_state |= is_class or name in self.globals or (name in variables and not constant)
        return ModuleSummary(
            definitions={name: _definition(part) for name, part in parts.items()},
            imports=self.imports,
            stars=tuple(self.stars),
            on_import=_definition(on_import) if on_import.texts else None,
            loads=tuple(dict.fromkeys(self.loads)),
            makers=self.makers,
            bases=self.bases,
            texts=texts,
        )

    def _take_imports(self, statement: ast.stmt) -> set[str]:
        taken: set[str] = set()
        for node in own_nodes(statement):
            if not isinstance(node, ast.Import | ast.ImportFrom):
                continue
            self.loads += imported_modules(node, self.package)
            for name, target in imported_names(node, self.package):
                if name == "*":
                    self.stars.append(target)
                else:
                    taken.add(name)
                    self.imports[name] = tuple(dict.fromkeys((*self.imports.get(name, ()), target)))
        return taken

    def _take_makers(self, statement: ast.stmt, names: set[str]) -> None:
        """Keep what may remember the values that a statement binds: decorators and called functions."""
        visitor = ReferenceVisitor(self.package)
        for maker in makers(statement):
            sources = self.imports.get(root_name(maker), ())
            if not any(
                source.partition(":")[0].partition(".")[0] in sys.stdlib_module_names for source in sources
            ):
                visitor.visit(maker)
        for name in names if visitor.refs else ():
            self.makers[name] = tuple(sorted({*self.makers.get(name, ()), *visitor.refs}))

    def _resolve_dynamic(self, statement: _Statement, local: set[str]) -> None:
        """Name what cannot be followed, by what the references stand for."""
        for ref in sorted(statement.refs):
            root, _, rest = ref.partition(".")
            if ref[0] in "@!":
                dotted = [ref[1:]] if ref[0] == "@" else []
            elif root in self.imports:
                dotted = [f"{target.replace(':', '.')}.{rest}".rstrip(".") for target in self.imports[root]]
            else:
                dotted = [] if root in local else [ref]
            for name in dotted:
                if name in _DYNAMIC_NAMES or name.startswith(_DYNAMIC_ATTRIBUTES):
                    statement.dynamic.add(name)
                if name.startswith(_FILE_READERS):
                    statement.refs.add(READS_FILES)
                if name == "importlib.import_module" or name == "__import__":
                    if statement.dynamic & {"import_module"}:
                        continue  # every call names its module
                    statement.dynamic.add(COMPUTED_IMPORT)
                elif name.startswith(_IMPORTING) and not name.startswith(
                    (*_HARMLESS_IMPORTLIB, *_FILE_READERS)
                ):
                    statement.dynamic.add(COMPUTED_IMPORT)


def normalise(nodes: Sequence[ast.AST], imports: dict[str, tuple[str, ...]]) -> None:
    """Take docstrings out of a statement, the first of the nodes, and baton's own task decorator.

    The decorator holds retries, timeouts and targets; names and kinds of outputs are part of the
    cache key by themselves.
    """
    for node in nodes:
        if "body" not in node._fields:
            continue
        for block in ("body", "orelse", "finalbody"):
            inner = getattr(node, block, None)
            if isinstance(inner, list) and any(_is_bare_constant(one) for one in inner):
                kept = [one for one in inner if not _is_bare_constant(one)]
                setattr(node, block, kept or ([ast.Pass()] if block == "body" else []))
    statement = nodes[0]
    if isinstance(statement, ast.FunctionDef):
        statement.decorator_list = [d for d in statement.decorator_list if not _is_task_decorator(d, imports)]


def _definition(parts: _Parts) -> Definition:
    return Definition(
        digest=_digest_of(parts),
        refs=tuple(sorted(parts.refs)),
        dynamic=tuple(sorted(parts.dynamic)),
        is_state=parts.is_state,
        finds_subclasses=parts.finds_subclasses,
    )


def _digest_of(parts: _Parts) -> str:
    return hashlib.sha256("\n".join(parts.texts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _binds_constant(statement: ast.stmt) -> bool:
    if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
        return False
    allowed = (ast.Constant, ast.UnaryOp, ast.unaryop, ast.BinOp, ast.operator, ast.Tuple, ast.Load)
    return all(isinstance(node, allowed) for node in all_nodes(statement.value))


def _may_know_its_place(source: str | bytes) -> bool:
    """Whether a module can name files beside itself; names beyond ASCII have several spellings."""
    text = source.encode("utf-8", "surrogatepass") if isinstance(source, str) else source
    return not text.isascii() or any(word in text for word in (b"__file__", b"importlib", b"pkgutil"))


def _short_texts(tree: ast.Module) -> tuple[str, ...]:
    """Return the texts that may name files, where the module knows its own place."""
    texts: set[str] = set()
    knows_its_place = False
    for node in all_nodes(tree):
        if isinstance(node, ast.Name):
            knows_its_place |= node.id == "__file__"
        elif isinstance(node, ast.Constant):
            texts |= {node.value} if isinstance(node.value, str) else set()
        elif isinstance(node, ast.Import | ast.ImportFrom):
            modules = imported_modules(node, "")
            knows_its_place |= any(module.startswith(("importlib", "pkgutil")) for module in modules)
    if not knows_its_place:
        return ()
    return tuple(
        sorted(text for text in texts if 0 < len(text) <= 120 and text.strip("./") and text.isprintable())
    )


def _is_bare_constant(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _is_task_decorator(decorator: ast.expr, imports: dict[str, tuple[str, ...]]) -> bool:
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
    """Yield names that exist for type checkers only; nothing is followed through them."""
    yield from bound_names(body)
    for statement in body:
        for node in own_nodes(statement):
            if isinstance(node, ast.Import | ast.ImportFrom):
                yield from (name for name, _ in imported_names(node, package))
