"""What running code changes besides binding names, as far as syntax and known libraries tell."""

from __future__ import annotations

import ast
import builtins
import sys

from baton.codetrace.scopes import own_nodes, root_name

CHANGING = frozenset(
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
"""Methods of Python's containers that change only the container."""
READING = frozenset(
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
        "replace",
        "encode",
        "decode",
        "title",
        "splitlines",
        "removeprefix",
        "removesuffix",
        "is_file",
        "is_dir",
        "exists",
        "joinpath",
        "resolve",
        "absolute",
        "with_suffix",
        "with_name",
        "relative_to",
        "read_text",
        "read_bytes",
    ]
)
"""Methods of Python's containers, texts and paths that change nothing."""

_ACTING_BUILTINS = frozenset(
    [
        "__import__",
        "breakpoint",
        "compile",
        "delattr",
        "eval",
        "exec",
        "globals",
        "help",
        "input",
        "locals",
        "setattr",
        "vars",
    ]
)
_ACTING_STDLIB = frozenset(
    [
        "argparse",
        "asyncio",
        "atexit",
        "builtins",
        "codecs",
        "copyreg",
        "ctypes",
        "faulthandler",
        "gc",
        "importlib",
        "linecache",
        "locale",
        "mimetypes",
        "multiprocessing",
        "os",
        "pdb",
        "pkgutil",
        "random",
        "readline",
        "resource",
        "runpy",
        "shutil",
        "signal",
        "site",
        "socket",
        "sqlite3",
        "subprocess",
        "sys",
        "threading",
        "tracemalloc",
        "unittest",
        "urllib",
        "webbrowser",
        "winreg",
    ]
)
_HARMLESS_STDLIB = frozenset(
    [
        "decimal.setcontext",
        "importlib.import_module",
        "importlib.metadata",
        "importlib.resources",
        "importlib.util.find_spec",
        "os.environ.get",
        "os.fspath",
        "os.getcwd",
        "os.getenv",
        "os.path",
        "random.Random",
        "sys.getsizeof",
        "sys.stderr",
        "sys.stdout",
        "sys.intern",
        "threading.Event",
        "threading.Lock",
        "threading.RLock",
        "threading.local",
        "urllib.parse",
    ]
)
_ACTING_ELSEWHERE = frozenset(
    ["abc.ABCMeta.register", "collections.abc", "decimal.getcontext", "decimal.setcontext", "numbers"]
)
_LOGGING = frozenset("critical debug error exception getLogger info log warning".split())
_TABLE_LIBRARIES = frozenset(["numpy", "polars", "pandas", "pyarrow", "scipy"])
_SETTING_WORDS = ("set", "seed", "register", "enable", "disable", "option", "config", "use", "reset")


def is_harmless(dotted: str) -> bool:
    """Whether a call of a name outside the project changes nothing that others can see.

    Parameters
    ----------
    dotted : str
        Such as ``"re.compile"``, ``"builtins.len"`` or ``"numpy.random.seed"``.
    """
    top, _, rest = dotted.partition(".")
    last = dotted.rpartition(".")[2]
    if top == "builtins":
        return rest.split(".")[0] not in _ACTING_BUILTINS
    if top == "baton":
        return True
    if top == "warnings":
        return True  # a filter's first argument tells whether it raises
    if top == "logging":
        return last in _LOGGING
    if top in sys.stdlib_module_names:
        if dotted.startswith(tuple(_HARMLESS_STDLIB)):
            return True
        if top in _ACTING_STDLIB or dotted.startswith(tuple(_ACTING_ELSEWHERE)):
            return False
        return last != "register"
    if top in _TABLE_LIBRARIES:
        return not any(part.lower().startswith(_SETTING_WORDS) for part in rest.split("."))
    return False


def changes(statement: ast.stmt) -> tuple[set[str], set[str], bool]:
    """Return the names that a top-level statement changes, those it may change, and whether it acts.

    A definition changes the object whose method decorates it: ``@REGISTRY.add``, ``@show.register``.
    """
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        targets = [d.func if isinstance(d, ast.Call) else d for d in statement.decorator_list]
        roots = {root_name(target) for target in targets if isinstance(target, ast.Attribute)}
        return roots - {""}, set(), False
    changed: set[str] = set()
    given: set[str] = set()
    acts = False
    for node in own_nodes(statement):
        if isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
            changed.add(root_name(node))
            acts |= not root_name(node)
        elif isinstance(node, ast.Call):
            given |= _given_to(node)
            if (
                isinstance(node.func, ast.Name)
                and node.func.id in ("next", "setattr", "delattr")
                and node.args
            ):
                changed.add(root_name(node.args[0]))
            if isinstance(node.func, ast.Attribute) and node.func.attr in CHANGING:
                changed.add(root_name(node.func))
        elif isinstance(node, ast.Await | ast.Yield | ast.YieldFrom):
            acts = True
    return changed - {""}, given - {""}, acts


def _given_to(call: ast.Call) -> set[str]:
    """Return the names whose values a call may change."""
    if isinstance(call.func, ast.Name) and hasattr(builtins, call.func.id):
        return {root_name(call.args[0])} if call.func.id in ("setattr", "delattr") and call.args else set()
    if isinstance(call.func, ast.Attribute) and call.func.attr in READING:
        return set()
    values = [*call.args, *(word.value for word in call.keywords)]
    names = {value.id for value in values if isinstance(value, ast.Name)}
    return names | {root_name(call.func)} if isinstance(call.func, ast.Attribute) else names
