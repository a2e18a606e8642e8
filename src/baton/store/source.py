"""What a module's source defines, and what each definition refers to; nothing is imported or run.

A summary depends on the text alone, so it is remembered by the text's digest.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import msgspec

SUMMARY_VERSION = 1
"""Raise when summaries change meaning; remembered ones of another version are not used."""

_DYNAMIC = frozenset({"eval", "exec", "globals", "vars", "__import__"})


class Definition(msgspec.Struct, frozen=True, array_like=True):
    """One name at the top of a module: what binds or changes it, normalised.

    `digest` covers the syntax without comments, docstrings, positions and formatting.  `refs` are
    dotted: ``"name.attribute"`` starts at this module's top, ``"@package.module.attribute"`` at a
    module imported inside the definition.  `dynamic` names what cannot be followed.
    """

    digest: str
    refs: tuple[str, ...]
    dynamic: tuple[str, ...]


class ModuleSummary(msgspec.Struct, frozen=True, array_like=True):
    """A module's definitions and imports; an import maps a local name to ``module`` or ``module:name``,
    or to nothing where it exists for type checkers only.
    """

    definitions: dict[str, Definition]
    imports: dict[str, str]
    stars: tuple[str, ...]


def summarise(source: str, package: str) -> ModuleSummary:
    """Summarise a module.

    Parameters
    ----------
    source : str
        The module's text.
    package : str
        The package that relative imports start from; empty for a top-level module.

    Raises
    ------
    SyntaxError
        If the text is not Python.
    """
    found = _Collector(package)
    for statement in ast.parse(source).body:
        found.take(statement)
    definitions = {
        name: Definition(
            digest=hashlib.sha256("\n".join(parts.texts).encode()).hexdigest()[:32],
            refs=tuple(sorted(parts.refs)),
            dynamic=tuple(sorted(parts.dynamic)),
        )
        for name, parts in found.parts.items()
    }
    return ModuleSummary(definitions, found.imports, tuple(found.stars))


@dataclass
class _Parts:
    texts: list[str] = field(default_factory=list)
    refs: set[str] = field(default_factory=set)
    dynamic: set[str] = field(default_factory=set)


class _Collector:
    """Sorts a module's top-level statements by the names they bind or change."""

    def __init__(self, package: str) -> None:
        self.package = package
        self.parts: dict[str, _Parts] = {}
        self.imports: dict[str, str] = {}
        self.stars: list[str] = []

    def take(self, statement: ast.stmt) -> None:
        """Attribute one top-level statement to names."""
        if isinstance(statement, ast.If) and _is_type_checking(statement.test):
            for name in _typing_names(statement.body, self.package):
                self.imports.setdefault(name, "")
            for inner in statement.orelse:
                self.take(inner)
            return
        if isinstance(statement, ast.If) and _is_main_guard(statement.test):
            return
        for node in _own_statements(statement):
            if isinstance(node, ast.Import | ast.ImportFrom):
                for local, target in imported_names(node, self.package):
                    if local == "*":
                        self.stars.append(target)
                    else:
                        self.imports[local] = target
        if isinstance(statement, ast.Import | ast.ImportFrom):
            return
        visitor = ReferenceVisitor(self.package)
        normalise(statement, self.imports)
        text = ast.dump(statement)
        visitor.visit(statement)
        names = set(_bound_names([statement])) or {ref.split(".")[0] for ref in visitor.refs if ref[0] != "@"}
        for name in names - set(self.imports):
            parts = self.parts.setdefault(name, _Parts())
            parts.texts.append(text)
            parts.refs |= visitor.refs
            parts.dynamic |= visitor.dynamic
        for name in names & set(self.imports):
            # An imported name that is bound again or changed, as in try/except around an import.
            parts = self.parts.setdefault(name, _Parts())
            parts.texts.append(text)
            parts.refs |= {*(visitor.refs - {name}), "@" + self.imports[name].replace(":", ".")}
            parts.dynamic |= visitor.dynamic


class ReferenceVisitor(ast.NodeVisitor):
    """Collects the names outside itself that a statement refers to, by Python's scope rules."""

    def __init__(self, package: str) -> None:
        self.package = package
        self.refs: set[str] = set()
        self.dynamic: set[str] = set()
        self._scopes: list[tuple[bool, dict[str, str]]] = []

    def visit_Name(self, node: ast.Name) -> None:
        """Follow a name that is read."""
        if isinstance(node.ctx, ast.Load):
            self._use(node.id, [])

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """Follow a dotted name from its root."""
        attributes = [node.attr]
        value = node.value
        while isinstance(value, ast.Attribute):
            attributes.append(value.attr)
            value = value.value
        if isinstance(value, ast.Name):
            self._use(value.id, attributes[::-1])
        else:
            self.visit(value)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Visit decorators and defaults outside the function's scope, its body inside."""
        for outside in [*node.decorator_list, *node.args.defaults, *node.args.kw_defaults, node.returns]:
            if outside is not None:
                self.visit(outside)
        for argument in _arguments(node.args):
            if argument.annotation is not None:
                self.visit(argument.annotation)
        self._inside(node.body, [argument.arg for argument in _arguments(node.args)])

    visit_AsyncFunctionDef = visit_FunctionDef  # the name is the visitor protocol's

    def visit_Lambda(self, node: ast.Lambda) -> None:
        """Visit a lambda's defaults outside its scope, its body inside."""
        for outside in [*node.args.defaults, *node.args.kw_defaults]:
            if outside is not None:
                self.visit(outside)
        self._inside([node.body], [argument.arg for argument in _arguments(node.args)])

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """Visit bases and decorators outside the class's scope, its body inside."""
        for outside in [*node.decorator_list, *node.bases, *node.keywords]:
            self.visit(outside)
        self._inside(node.body, [], is_class=True)

    def _visit_comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> None:
        self.visit(node.generators[0].iter)
        targets = [name for generator in node.generators for name in _stored_names(generator.target)]
        self._scopes.append((False, dict.fromkeys(targets, "")))
        for index, generator in enumerate(node.generators):
            for part in [*([generator.iter] if index else []), *generator.ifs]:
                self.visit(part)
        for part in [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]:
            self.visit(part)
        self._scopes.pop()

    visit_ListComp = visit_SetComp = visit_GeneratorExp = visit_DictComp = _visit_comprehension

    def _inside(self, body: Iterable[ast.AST], arguments: list[str], *, is_class: bool = False) -> None:
        body = list(body)
        scope = dict.fromkeys([*arguments, *_bound_names(body)], "")
        for statement in body:
            for node in _own_statements(statement):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    scope.update(imported_names(node, self.package))
        for name in _global_names(body):
            scope.pop(name, None)
        self._scopes.append((is_class, scope))
        for statement in body:
            self.visit(statement)
        self._scopes.pop()

    def _use(self, root: str, attributes: list[str]) -> None:
        for depth, (is_class, scope) in enumerate(reversed(self._scopes)):
            if root in scope and (not is_class or depth == 0):
                target = scope[root]
                if target:
                    self.refs.add("@" + ".".join([target.replace(":", "."), *attributes]))
                return
        if root in _DYNAMIC:
            self.dynamic.add(root)
        if root == "importlib" or attributes[-1:] == ["import_module"]:
            self.dynamic.add("import_module")
        self.refs.add(".".join([root, *attributes]))


def normalise(statement: ast.stmt, imports: dict[str, str]) -> None:
    """Take docstrings out of a statement, and baton's own task decorator.

    The decorator holds retries, timeouts and targets; names and kinds of outputs are part of the
    cache key by themselves.
    """
    for node in ast.walk(statement):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and _has_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    if isinstance(statement, ast.FunctionDef):
        statement.decorator_list = [d for d in statement.decorator_list if not _is_task_decorator(d, imports)]


def _has_docstring(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    first = node.body[0]
    return (
        isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    )


def imported_names(node: ast.Import | ast.ImportFrom, package: str) -> Iterator[tuple[str, str]]:
    """Yield each local name that an import binds, with ``module`` or ``module:name``."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield (alias.asname, alias.name) if alias.asname else (alias.name.split(".")[0],) * 2
        return
    module = node.module or ""
    if node.level:
        parts = package.split(".")
        base = ".".join(parts[: len(parts) - node.level + 1])
        module = f"{base}.{module}" if module else base
    for alias in node.names:
        if alias.name == "*":
            yield "*", module
        else:
            yield alias.asname or alias.name, f"{module}:{alias.name}"


def _is_task_decorator(decorator: ast.expr, imports: dict[str, str]) -> bool:
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    dotted = ast.unparse(target)
    root, _, rest = dotted.partition(".")
    source = imports.get(root, "").replace(":", ".")
    return f"{source}.{rest}".rstrip(".") in ("baton.task", "baton.core.task.task")


def _is_type_checking(test: ast.expr) -> bool:
    return ast.unparse(test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def _typing_names(body: list[ast.stmt], package: str) -> Iterator[str]:
    """Yield names that exist for type checkers only; nothing is followed through them."""
    yield from _bound_names(body)
    for statement in body:
        for node in _own_statements(statement):
            if isinstance(node, ast.Import | ast.ImportFrom):
                yield from (local for local, _ in imported_names(node, package))


def _is_main_guard(test: ast.expr) -> bool:
    return ast.unparse(test) in ("__name__ == '__main__'", "'__main__' == __name__")


def _arguments(arguments: ast.arguments) -> list[ast.arg]:
    plain = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return plain + [extra for extra in (arguments.vararg, arguments.kwarg) if extra is not None]


def _own_statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node and what it holds, without entering functions, classes, lambdas or comprehensions."""
    yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(node, _SCOPES):
            return
        yield from _own_statements(child)


_SCOPES = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Lambda,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
)


def _bound_names(body: Iterable[ast.AST]) -> Iterator[str]:
    """Yield the names that statements bind in their own scope."""
    for statement in body:
        for node in _own_statements(statement):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield node.name
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
                yield node.id
            elif (isinstance(node, ast.ExceptHandler) and node.name) or (isinstance(node, ast.MatchAs | ast.MatchStar) and node.name):
                yield node.name
            elif isinstance(node, ast.MatchMapping) and node.rest:
                yield node.rest
            elif isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
                # An assignment expression in a comprehension binds outside it.
                for inner in ast.walk(node):
                    if isinstance(inner, ast.NamedExpr):
                        yield inner.target.id


def _stored_names(target: ast.expr) -> Iterator[str]:
    for node in ast.walk(target):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def _global_names(body: Iterable[ast.AST]) -> Iterator[str]:
    for statement in body:
        for node in _own_statements(statement):
            if isinstance(node, ast.Global):
                yield from node.names
