"""What a statement changes besides binding names, as far as its syntax tells."""

from __future__ import annotations

import ast
import builtins

from baton.store.scopes import own_nodes, root_name

_BUILTINS = frozenset(dir(builtins))
_CHANGING = frozenset(
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
        "remove",
        "reverse",
        "setdefault",
        "sort",
        "update",
    ]
)
"""Methods of Python's containers that change nothing but the container."""
_READING = frozenset(
    [
        "copy",
        "count",
        "endswith",
        "format",
        "get",
        "index",
        "items",
        "join",
        "keys",
        "lower",
        "split",
        "startswith",
        "strip",
        "upper",
        "values",
    ]
)
"""Methods of Python's containers and texts that change nothing."""


def changes(statement: ast.stmt) -> tuple[set[str], set[str], bool]:
    """Return the names that a statement changes, those it may change, and whether it acts besides."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        # A method-like decorator (``@REGISTRY.add``, ``@convert.register``) changes what it stands on.
        targets = [d.func if isinstance(d, ast.Call) else d for d in statement.decorator_list]
        return (
            {root_name(target) for target in targets if isinstance(target, ast.Attribute)} - {""},
            set(),
            False,
        )
    changed: set[str] = set()
    given: set[str] = set()
    acts = False
    for node in own_nodes(statement):
        if isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
            changed.add(root_name(node))
        elif isinstance(node, ast.Call):
            given |= _given_to(node)
        elif isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant):
            method = node.value.func if isinstance(node.value, ast.Call) else None
            if isinstance(method, ast.Attribute):
                changed.add(root_name(method))
                acts |= method.attr not in _CHANGING
            else:
                acts = True
    return changed - {""}, given - {""}, acts


def makers(statement: ast.stmt) -> list[ast.expr]:
    """Return the decorators of a definition, or the functions that another statement calls."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [d.func if isinstance(d, ast.Call) else d for d in statement.decorator_list]
    called = [node.func for node in own_nodes(statement) if isinstance(node, ast.Call)]
    return [maker for maker in called if not (isinstance(maker, ast.Attribute) and maker.attr in _READING)]


def _given_to(call: ast.Call) -> set[str]:
    """Return the names whose values a call may change."""
    if isinstance(call.func, ast.Name) and call.func.id in _BUILTINS:
        return set()
    if isinstance(call.func, ast.Attribute) and call.func.attr in _READING:
        return set()
    values = [*call.args, *(word.value for word in call.keywords)]
    names = {value.id for value in values if isinstance(value, ast.Name)}
    return names | {root_name(call.func)} if isinstance(call.func, ast.Attribute) else names
