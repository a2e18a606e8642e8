"""Edits of files by chance, whatever the files are."""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Callable, Iterator

Apply = Callable[[], None]

_OPERATORS: tuple[type[ast.operator], ...] = (ast.Add, ast.Sub, ast.Mult)
_COMPARISONS: tuple[type[ast.cmpop], ...] = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)


def mutated_code(text: str, chance: random.Random) -> str:
    """Return a module with one thing changed: a value, a name, an operator, a statement, an order."""
    for _ in range(20):
        tree = ast.parse(text)
        edits = list(_edits(tree, chance))
        if not edits:
            break
        chance.choice(edits)()
        changed = ast.unparse(ast.fix_missing_locations(tree)) + "\n"
        if changed != ast.unparse(ast.parse(text)) + "\n" and _compiles(changed):
            return changed
    return text


def mutated_data(text: str, chance: random.Random) -> str:
    """Return a text with one of its digits, or else its end, changed."""
    digits = list(re.finditer(r"\d", text))
    if not digits:
        return text + "x"
    at = chance.choice(digits).start()
    return text[:at] + str((int(text[at]) + chance.randint(1, 8)) % 10) + text[at + 1 :]


def harmless_code(text: str, chance: random.Random) -> str:
    """Return a module that says the same in another way."""
    edits: list[Callable[[], str]] = [
        lambda: "# A comment.\n" + text,
        lambda: text + "\n\n# At the end.\n",
        lambda: text + "\n\ndef nothing_uses_this(x):\n    return [x, 1]\n",
        lambda: re.sub(r"\n(def |class )", r"\n\n\n\1", text),
        lambda: text.replace("\n", "\r\n"),
        lambda: ast.unparse(ast.parse(text)) + "\n",
    ]
    return chance.choice(edits)()


def _compiles(text: str) -> bool:
    try:
        compile(text, "mutated", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return True


def _edits(tree: ast.Module, chance: random.Random) -> Iterator[Apply]:
    """Yield what can be changed, each as a function that changes it."""
    nodes = list(ast.walk(tree))
    names = sorted({node.id for node in nodes if isinstance(node, ast.Name)})
    words = sorted({n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)})
    froms = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level]
    imported = sorted({(str(node.module), one.name) for node in froms for one in node.names})

    def set_to(node: ast.AST, field: str, value: object) -> Apply:
        return lambda: setattr(node, field, value)

    for node in nodes:
        match node:
            case ast.Constant(value=bool() | None):
                pass
            case ast.Constant(value=int() | float() as number):
                yield set_to(node, "value", number + chance.choice((1, 2, -1)))
            case ast.Constant(value=str() as word):
                yield set_to(node, "value", chance.choice([*words, f"{word}x"]))
            case ast.BinOp():
                yield set_to(node, "op", chance.choice(_OPERATORS)())
            case ast.Compare():
                yield set_to(node, "ops", [chance.choice(_COMPARISONS)(), *node.ops[1:]])
            case ast.BoolOp():
                yield set_to(node, "op", ast.Or() if isinstance(node.op, ast.And) else ast.And())
            case ast.Return(value=ast.expr() as answer):
                yield set_to(node, "value", ast.List([answer], ast.Load()))
            case ast.If() | ast.IfExp():
                yield set_to(node, "test", ast.UnaryOp(ast.Not(), node.test))
            case ast.Name(ctx=ast.Load()) if chance.random() < 0.2:
                yield set_to(node, "id", chance.choice(names))
            case ast.List() | ast.Tuple() if len(node.elts) > 1:
                yield set_to(node, "elts", node.elts[::-1])
                yield set_to(node, "elts", node.elts[1:])
            case ast.Dict() if len(node.values) > 1:
                yield set_to(node, "values", node.values[::-1])
            case ast.Call() if len(node.args) > 1:
                yield set_to(node, "args", node.args[::-1])
            case ast.ImportFrom(level=0):
                same = [name for module, name in imported if module == node.module]
                yield set_to(node.names[0], "name", chance.choice(same))
                yield set_to(node, "module", chance.choice([module for module, _ in imported]))
            case ast.FunctionDef() | ast.ClassDef() if node.decorator_list:
                yield set_to(node, "decorator_list", node.decorator_list[1:])
        for field in ("body", "orelse"):
            statements = getattr(node, field, None)
            if isinstance(statements, list) and len(statements) > 1:
                at = chance.randrange(len(statements) - 1)
                one, two = statements[at : at + 2]
                yield set_to(node, field, [*statements[:at], two, one, *statements[at + 2 :]])
                yield set_to(node, field, [*statements[:at], *statements[at + 1 :]])
                yield set_to(node, field, [*statements[:at], *statements[at + 1 :], one])
