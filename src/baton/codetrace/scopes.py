"""Which outside names a piece of syntax uses, by Python's scope rules."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

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
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_NOTES = frozenset({"__doc__", "getdoc", "__annotations__", "get_type_hints", "get_annotations", "signature"})
_TEXT_READERS = frozenset({"query", "eval", "evaluate", "from_formula", "ols", "glm", "dmatrices", "dmatrix"})
"""Functions and methods that evaluate strings as code: of pandas, numexpr, patsy and statsmodels."""
_NAME = re.compile(r"(?<![\w.])[^\W\d]\w*")
CHANGING_METHODS = frozenset(
    [
        "add",
        "append",
        "appendleft",
        "clear",
        "discard",
        "extend",
        "extendleft",
        "insert",
        "pop",
        "popitem",
        "popleft",
        "register",
        "remove",
        "setdefault",
        "update",
        "__setitem__",
        "__setattr__",
    ]
)
"""Methods that change the object they are called on."""


@dataclass
class _Scope:
    """The names of one scope, with what each was imported from, or nothing."""

    names: dict[str, tuple[str, ...]]
    globals: frozenset[str] = frozenset()
    is_class: bool = False
    arguments: frozenset[str] = frozenset()


class ReferenceVisitor(ast.NodeVisitor):
    """Collects the outside names that a statement refers to.

    Parameters
    ----------
    package : str
        The base of relative imports.
    """

    def __init__(self, package: str) -> None:
        self.package = package
        self.refs: set[str] = set()
        self.maybe_refs: set[str] = set()
        """References that count only if the module defines the name."""
        self.calls: set[str] = set()
        """References that are called; ``?`` marks arguments of a call, ``<`` base classes."""
        self.dynamic: set[str] = set()
        self.acts = False
        """Whether it changes something that others can see: a global's member, an argument's."""
        self.finds_subclasses = False
        self.reads_notes = False
        self._scopes: list[_Scope] = []

    def generic_visit(self, node: ast.AST) -> None:
        """Visit the child nodes."""
        for child in children(node):
            self.visit(child)

    def visit_Name(self, node: ast.Name) -> None:
        """Follow a name that is read."""
        if isinstance(node.ctx, ast.Load):
            self.reads_notes |= node.id in _NOTES
            self._use(node.id, [])

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """Follow a dotted name from its root."""
        attributes, value = _dotted(node)
        self.finds_subclasses |= "__subclasses__" in attributes
        self.reads_notes |= not _NOTES.isdisjoint(attributes)
        if not isinstance(node.ctx, ast.Load):
            self._changes(node)
        if isinstance(value, ast.Name):
            self._use(value.id, attributes)
        else:
            self.visit(value)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        """Record a member that is set or deleted, and visit its object."""
        if not isinstance(node.ctx, ast.Load):
            self._changes(node)
        self.generic_visit(node)

    def visit_Global(self, _node: ast.Global) -> None:
        """Record that a function binds names of its module."""
        self.acts = True

    def visit_Call(self, node: ast.Call) -> None:
        """Follow an import of a module by name."""
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in ("import_module", "__import__") and node.args:
            name = node.args[0]
            if isinstance(name, ast.Constant) and isinstance(name.value, str) and len(node.args) == 1:
                self.dynamic.add("import_module")
                self.refs.add("@" + name.value)
            else:
                self.dynamic.add("an import of a computed name")
        self._call(node, called)
        named = _getattr_of(node)
        if named is None:
            self.generic_visit(node)
        else:  # ``getattr(module, "name")`` is ``module.name``
            self.visit(named)
            for rest in node.args[2:]:
                self.visit(rest)

    def _decorate(self, decorators: list[ast.expr]) -> None:
        """Visit decorators, which are called without a call in the syntax."""
        for decorator in decorators:
            self.visit(decorator)
            root = root_name(decorator)
            if root:
                self.calls |= set(self._resolve(root, _chain(decorator)))

    def _call(self, node: ast.Call, called: str) -> None:
        """Record the outside names that are called and passed."""
        root = root_name(node.func)
        for ref in self._resolve(root, _chain(node.func)) if root else ():
            self.calls.add(ref)
        if called in ("filterwarnings", "simplefilter"):
            self.acts |= not (
                node.args and isinstance(node.args[0], ast.Constant) and node.args[0].value != "error"
            )
        if called == "next" and node.args and root_name(node.args[0]):
            self._changes(node.args[0])
        if isinstance(node.func, ast.Attribute) and called in CHANGING_METHODS:
            self._changes(node.func)
        for value in [*node.args, *(word.value for word in node.keywords)]:
            if isinstance(value, ast.Name | ast.Attribute):
                attributes, inner = _dotted(value)
                if isinstance(inner, ast.Name):
                    self.calls |= {f"?{ref}" for ref in self._resolve(inner.id, attributes)}
        if called in _TEXT_READERS:
            self._names_in_texts(node)

    def _changes(self, node: ast.expr) -> None:
        """Record a change of a member, unless the function created the object."""
        root = root_name(node)
        depth = len(_chain(node))
        if root == "self":
            self.acts |= depth > 1
            return
        for scope in reversed(self._scopes):
            if root in scope.globals:
                break
            if root in scope.names:
                self.acts |= root in scope.arguments
                return
        self.acts |= bool(self._scopes)

    def _names_in_texts(self, node: ast.AST) -> None:
        """Follow the names in strings that a call evaluates: ``query('a > @LIMIT')``."""
        for inner in all_nodes(node):
            if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                self.maybe_refs |= set(_NAME.findall(inner.value))

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Visit decorators, defaults and annotations outside the function's scope, the body inside."""
        self.finds_subclasses |= node.name == "__init_subclass__"
        self._decorate(node.decorator_list)
        self._scopes.append(_Scope(_type_parameters(node)))
        for default in [*node.args.defaults, *node.args.kw_defaults]:
            if default is not None:
                self.visit(default)
        arguments = _arguments(node.args)
        for holder in [node, *arguments]:
            for hint in [
                getattr(holder, "annotation", None),
                getattr(holder, "returns", None),
                *hints(holder),
            ]:
                self._annotation(hint)
        self._inside(node.body, [argument.arg for argument in arguments])
        self._scopes.pop()

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815  # the visitor protocol's name

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        """Visit target, annotation and value."""
        self.visit(node.target)
        self._annotation(node.annotation)
        if node.value is not None:
            self.visit(node.value)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        """Visit a lambda's defaults outside its scope, the body inside."""
        for default in [*node.args.defaults, *node.args.kw_defaults]:
            if default is not None:
                self.visit(default)
        self._inside([node.body], [argument.arg for argument in _arguments(node.args)])

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """Visit bases and decorators outside the class's scope, the body inside."""
        self.finds_subclasses |= any(word.arg == "metaclass" for word in node.keywords)
        self._decorate(node.decorator_list)
        self._scopes.append(_Scope(_type_parameters(node)))
        for mark, outside in [("<", base) for base in node.bases] + [
            ("", word.value) for word in node.keywords
        ]:
            self.visit(outside)
            if root_name(outside):
                self.calls |= {mark + ref for ref in self._resolve(root_name(outside), _chain(outside))}
        self._inside(node.body, [], is_class=True)
        self._scopes.pop()

    def _visit_comprehension(
        self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp
    ) -> None:
        self.visit(node.generators[0].iter)
        targets = [name for generator in node.generators for name in _stored_names(generator.target)]
        self._scopes.append(_Scope(dict.fromkeys(targets, ())))
        for index, generator in enumerate(node.generators):
            for part in [*([generator.iter] if index else []), generator.target, *generator.ifs]:
                self.visit(part)
        for part in [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]:
            self.visit(part)
        self._scopes.pop()

    # The visitor protocol's names.
    visit_ListComp = visit_SetComp = visit_GeneratorExp = visit_DictComp = _visit_comprehension  # noqa: N815

    def _inside(self, body: Iterable[ast.AST], arguments: list[str], *, is_class: bool = False) -> None:
        body = list(body)
        names: dict[str, tuple[str, ...]] = dict.fromkeys([*arguments, *bound_names(body)], ())
        for statement in body:
            for node in own_nodes(statement):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    self.refs |= {"!" + module for module in imported_modules(node, self.package)}
                    for name, target in imported_names(node, self.package):
                        names[name] = (*names.get(name, ()), target)
                        if is_class:  # anyone can use it through the class
                            self.refs.add("@" + target.replace(":", "."))
        declared = frozenset(_global_names(body))
        self._scopes.append(_Scope(names, declared, is_class, frozenset(arguments)))
        for statement in body:
            self.visit(statement)
        self._scopes.pop()

    def _use(self, root: str, attributes: list[str]) -> None:
        certain = True
        for ref in self._resolve(root, attributes):
            if ref.startswith("@"):
                self.refs.add(ref)
            elif ref.startswith("~"):
                certain = False
            else:
                (self.refs if certain else self.maybe_refs).add(ref)

    def _resolve(self, root: str, attributes: list[str]) -> list[str]:
        """Return the references of a dotted name; ``~`` marks one that a class may hide."""
        found: list[str] = []
        for depth, scope in enumerate(reversed(self._scopes)):
            if root in scope.globals:
                break
            if root not in scope.names or (scope.is_class and depth > 0):
                continue
            for target in scope.names[root]:
                found.append("@" + ".".join([target.replace(":", "."), *attributes]))
            if not scope.is_class:
                return found
            found.append("~")  # until a class binds a name, its body sees the outer one
        return [*found, ".".join([root, *attributes])]

    def _annotation(self, annotation: ast.expr | None) -> None:
        """Visit an annotation and the names in its strings: ``"Item"``, ``list["Item"]``."""
        if annotation is None:
            return
        if not isinstance(annotation, ast.Constant):
            self.visit(annotation)
        for text in all_nodes(annotation):
            if isinstance(text, ast.Constant) and isinstance(text.value, str):
                self._quoted(text.value)

    def _quoted(self, text: str) -> None:
        try:
            expression = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError):
            return
        for node in all_nodes(expression):
            if isinstance(node, ast.Name):
                self.maybe_refs.add(node.id)
            elif isinstance(node, ast.Attribute):
                self.maybe_refs.add(ast.unparse(node))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value != text:
                self._quoted(node.value)


def hints(holder: ast.AST) -> list[ast.expr]:
    """Return the type hints that do not count as code, but whose names are still followed."""
    found: list[ast.expr] = holder.__dict__.get("hints", [])
    return found


def _dotted(node: ast.expr) -> tuple[list[str], ast.expr]:
    """Return the attributes of ``a.b.c`` in order, and the expression they start from."""
    attributes: list[str] = []
    while isinstance(node, ast.Attribute):
        attributes.append(node.attr)
        node = node.value
    return attributes[::-1], node


def _getattr_of(node: ast.Call) -> ast.Attribute | None:
    """Return the attribute that a `getattr` call with a literal name means; None for other calls."""
    if not isinstance(node.func, ast.Name) or node.func.id != "getattr" or len(node.args) < 2:
        return None
    name = node.args[1]
    if isinstance(name, ast.Constant) and isinstance(name.value, str) and name.value.isidentifier():
        return ast.Attribute(node.args[0], name.value, ast.Load())
    return None


def _chain(node: ast.expr) -> list[str]:
    """Return all attributes on the way to the root, through calls and subscripts."""
    attributes: list[str] = []
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        if isinstance(node, ast.Attribute):
            attributes.append(node.attr)
        elif isinstance(node, ast.Subscript):
            attributes.append("[]")
        node = node.func if isinstance(node, ast.Call) else node.value
    return attributes[::-1]


def root_name(node: ast.AST) -> str:
    """Return the name at the root of attributes, subscripts and calls, or an empty text."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def children(node: ast.AST) -> list[ast.AST]:
    """Return the child nodes of a node, without the marks for read, set and delete."""
    # Like `ast.iter_child_nodes`, but twice as fast: reading a module is mostly this.
    found: list[ast.AST] = []
    for name in node._fields:
        if name != "ctx":
            value = getattr(node, name, None)
            if isinstance(value, list):
                found += [item for item in value if isinstance(item, ast.AST)]
            elif isinstance(value, ast.AST):
                found.append(value)
    return found


def all_nodes(node: ast.AST) -> list[ast.AST]:
    """Return a node and all its descendants, parents first."""
    found = [node]
    for holder in found:
        found += children(holder)
    return found


def own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node and its descendants, without entering functions, classes, lambdas or comprehensions."""
    # The hottest loop of reading a module: a stack instead of nested generators.
    waiting = [node]
    while waiting:
        found = waiting.pop()
        yield found
        if not isinstance(found, _SCOPES):
            waiting += reversed(children(found))


def bound_names(body: Iterable[ast.AST]) -> Iterator[str]:
    """Yield the names that statements bind in their own scope, except imports."""
    for statement in body:
        for node in own_nodes(statement):
            match node:
                case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                    yield node.name
                case ast.Name(ctx=ast.Store() | ast.Del()):
                    yield node.id
                case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)):
                    yield name
                case ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
                    yield name
                case _ if isinstance(node, _COMPREHENSIONS):
                    # An assignment expression in a comprehension binds outside the comprehension.
                    yield from _walrus_names(node)


def imported_names(node: ast.Import | ast.ImportFrom, package: str) -> Iterator[tuple[str, str]]:
    """Yield each local name that an import binds, with its ``module`` or ``module:name``."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield (alias.asname, alias.name) if alias.asname else (alias.name.split(".")[0],) * 2
        return
    module = _source_module(node, package)
    for alias in node.names:
        if alias.name == "*":
            yield "*", module
        else:
            yield alias.asname or alias.name, f"{module}:{alias.name}"


def imported_modules(node: ast.Import | ast.ImportFrom, package: str) -> list[str]:
    """Return the modules that an import may load; some of the names may not be modules."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    module = _source_module(node, package)
    return [module, *(f"{module}.{alias.name}" for alias in node.names if alias.name != "*")]


def _source_module(node: ast.ImportFrom, package: str) -> str:
    module = node.module or ""
    if not node.level:
        return module
    parts = package.split(".")
    base = ".".join(parts[: len(parts) - node.level + 1])
    return f"{base}.{module}" if module else base


def _type_parameters(node: ast.AST) -> dict[str, tuple[str, ...]]:
    """Return the names in ``def f[T]``, which exists from Python 3.12 on."""
    return {parameter.name: () for parameter in getattr(node, "type_params", [])}


def _arguments(arguments: ast.arguments) -> list[ast.arg]:
    plain = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return plain + [extra for extra in (arguments.vararg, arguments.kwarg) if extra is not None]


def _walrus_names(node: ast.AST) -> Iterator[str]:
    for child in children(node):
        if isinstance(child, ast.Lambda):
            continue
        if isinstance(child, ast.NamedExpr):
            yield child.target.id
        yield from _walrus_names(child)


def _stored_names(target: ast.expr) -> Iterator[str]:
    for node in all_nodes(target):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def _global_names(body: Iterable[ast.AST]) -> Iterator[str]:
    for statement in body:
        for node in own_nodes(statement):
            if isinstance(node, ast.Global):
                yield from node.names
