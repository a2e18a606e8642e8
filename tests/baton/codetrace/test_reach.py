"""What a function can reach: exactly the right parts, and no change that matters goes unseen."""

# ruff: noqa: E501  # a module written in one line reads best
from __future__ import annotations

from pathlib import Path

import pytest

from baton.codetrace.reader import CodeReader
from baton.testing.pipelines import left

PLAIN = """
    LIMIT = 3

    def helper(x):
        return x + LIMIT

    def unused():
        return 1

    def f(x):
        return helper(x)
"""

UNCHANGED = {
    "a comment": ("return x + LIMIT", "return x + LIMIT  # why"),
    "a docstring": ("def helper(x):\n", 'def helper(x):\n        """Add."""\n'),
    "formatting": ("return x + LIMIT", "return (\n            x\n            + LIMIT\n        )"),
    "an unused function": ("return 1", "return 2"),
    "a main guard": ("LIMIT = 3", 'LIMIT = 3\n\n    if __name__ == "__main__":\n        print(LIMIT)\n'),
    "a type checker's import": (
        "LIMIT = 3",
        "from typing import TYPE_CHECKING\n\n    if TYPE_CHECKING:\n        from nowhere import Thing\n\n    LIMIT = 3",
    ),
    "a text below a constant": ("LIMIT = 3", 'LIMIT = 3\n    """Most of it."""'),
}
CHANGED = {
    "the function": ("return helper(x)", "return helper(x) + 1"),
    "a helper": ("return x + LIMIT", "return x - LIMIT"),
    "a constant": ("LIMIT = 3", "LIMIT = 4"),
    "a constant's type": ("LIMIT = 3", "LIMIT = 3.0"),
    "a default": ("def f(x):", "def f(x, y=2):"),
    "a second binding": ("def unused", "LIMIT = 5\n\n    def unused"),
}


@pytest.mark.parametrize("edit", UNCHANGED)
def test_an_edit_that_cannot_matter_is_not_seen(package, edit):
    package.write("tasks.py", PLAIN)
    before = package.reach()
    package.write("tasks.py", PLAIN.replace(*UNCHANGED[edit]))
    assert PLAIN.replace(*UNCHANGED[edit]) != PLAIN
    assert package.reach() == before


@pytest.mark.parametrize("edit", CHANGED)
def test_an_edit_that_can_matter_is_seen(package, edit):
    package.write("tasks.py", PLAIN)
    before = package.reach()
    package.write("tasks.py", PLAIN.replace(*CHANGED[edit]))
    assert package.reach().parts != before.parts


# Each case: the modules, what `f` in tasks.py reaches (None where only the edit matters), and an edit
# of one module that can change what `f` returns.
REACHED: dict[str, tuple[dict[str, str], set[str] | None, tuple[str, str, str]]] = {
    "helper in another module": (
        {
            "tasks.py": "from PKG.other import g\ndef f(): return g()",
            "other.py": "def g(): return 1\ndef h(): return 2",
        },
        {"tasks:f", "other:g"},
        ("other.py", "return 1", "return 9"),
    ),
    "helper of a helper": (
        {
            "tasks.py": "from .a import g\ndef f(): return g()",
            "a.py": "from .b import h\ndef g(): return h()",
            "b.py": "def h(): return 1",
        },
        {"tasks:f", "a:g", "b:h"},
        ("b.py", "return 1", "return 9"),
    ),
    "import as": (
        {
            "tasks.py": "import PKG.mod as m\ndef f(): return m.g()",
            "mod.py": "def g(): return 1\ndef h(): return 2",
        },
        {"tasks:f", "mod:g"},
        ("mod.py", "return 1", "return 9"),
    ),
    "dotted import": (
        {"tasks.py": "import PKG.mod\ndef f(): return PKG.mod.g()", "mod.py": "def g(): return 1"},
        {"tasks:f", "mod:g"},
        ("mod.py", "return 1", "return 9"),
    ),
    "from package import module": (
        {"tasks.py": "from . import mod\ndef f(): return mod.g()", "mod.py": "def g(): return 1"},
        {"tasks:f", "mod:g"},
        ("mod.py", "return 1", "return 9"),
    ),
    "import of a name as another": (
        {"tasks.py": "from .mod import g as k\ndef f(): return k()", "mod.py": "def g(): return 1"},
        {"tasks:f", "mod:g"},
        ("mod.py", "return 1", "return 9"),
    ),
    "re-export through the package": (
        {
            "tasks.py": "from .sub import g\ndef f(): return g()",
            "sub/__init__.py": "from .inner import g",
            "sub/inner.py": "def g(): return 1",
        },
        {"tasks:f", "sub.inner:g"},
        ("sub/inner.py", "return 1", "return 9"),
    ),
    "package that imports its own module": (
        {
            "tasks.py": "from . import sub\ndef f(): return sub.inner.g()",
            "sub/__init__.py": "from . import inner",
            "sub/inner.py": "def g(): return 1",
        },
        {"tasks:f", "sub.inner:g"},
        ("sub/inner.py", "return 1", "return 9"),
    ),
    "modules that import each other": (
        {
            "tasks.py": "from .a import g\ndef f(): return g()",
            "a.py": "from .b import h\ndef g(): return h()\ndef k(): return 1",
            "b.py": "from . import a\ndef h(): return a.k()",
        },
        {"tasks:f", "a:g", "b:h", "a:k"},
        ("a.py", "return 1", "return 9"),
    ),
    "star import": (
        {
            "tasks.py": "from .mod import *\ndef f(): return g()",
            "mod.py": "def g(): return 1\ndef h(): return 2",
        },
        {"tasks:f", "mod:g"},
        ("mod.py", "return 1", "return 9"),
    ),
    "star of a star": (
        {
            "tasks.py": "from .a import *\ndef f(): return g()",
            "a.py": "from .b import *",
            "b.py": "def g(): return 1",
        },
        {"tasks:f", "b:g"},
        ("b.py", "return 1", "return 9"),
    ),
    "default value": (
        {"tasks.py": "SIZE = 3\nOTHER = 4\ndef f(n=SIZE): return n"},
        {"tasks:f", "tasks:SIZE"},
        ("tasks.py", "SIZE = 3", "SIZE = 9"),
    ),
    "default of a lambda": (
        {"tasks.py": "SIZE = 3\ndef f(): return (lambda n=SIZE: n)()"},
        {"tasks:f", "tasks:SIZE"},
        ("tasks.py", "SIZE = 3", "SIZE = 9"),
    ),
    "decorator": (
        {"tasks.py": "def twice(g): return lambda: 2 * g()\n@twice\ndef f(): return 1"},
        {"tasks:f", "tasks:twice"},
        ("tasks.py", "2 * g()", "9 * g()"),
    ),
    "decorator's argument": (
        {"tasks.py": "N = 2\ndef times(n): return lambda g: lambda: n * g()\n@times(N)\ndef f(): return 1"},
        {"tasks:f", "tasks:times", "tasks:N"},
        ("tasks.py", "N = 2", "N = 9"),
    ),
    "base class method in another module": (
        {
            "tasks.py": "from .model import Sub\ndef f(): return Sub().run()",
            "model.py": "from .base import Base\nclass Sub(Base): pass",
            "base.py": "class Base:\n    def run(self): return 1",
        },
        {"tasks:f", "model:Sub", "base:Base"},
        ("base.py", "return 1", "return 9"),
    ),
    "super": (
        {
            "tasks.py": (
                "from .base import Base\nclass Sub(Base):\n    def run(self): return super().run()\ndef f(): return Sub().run()"
            ),
            "base.py": "class Base:\n    def run(self): return 1",
        },
        {"tasks:f", "tasks:Sub", "base:Base"},
        ("base.py", "return 1", "return 9"),
    ),
    "class method through an alias": (
        {
            "tasks.py": "from .model import Model as M\nrun = M.run\ndef f(): return run()",
            "model.py": "class Model:\n    @classmethod\n    def run(cls): return 1",
        },
        {"tasks:f", "tasks:run", "model:Model"},
        ("model.py", "return 1", "return 9"),
    ),
    "class attribute through an instance": (
        {"tasks.py": "class C:\n    limit = 3\nc = C()\ndef f(): return c.limit"},
        {"tasks:f", "tasks:c", "tasks:C"},
        ("tasks.py", "limit = 3", "limit = 9"),
    ),
    "class attribute that takes a global's name": (
        {"tasks.py": "LIMIT = 3\nclass C:\n    LIMIT = LIMIT\ndef f(): return C.LIMIT"},
        {"tasks:f", "tasks:C", "tasks:LIMIT"},
        ("tasks.py", "LIMIT = 3", "LIMIT = 9"),
    ),
    "class attribute that is not seen in a method": (
        {
            "tasks.py": "limit = 3\nclass C:\n    limit = 1\n    def run(self): return limit\ndef f(): return C().run()"
        },
        {"tasks:f", "tasks:C", "tasks:limit"},
        ("tasks.py", "limit = 3", "limit = 9"),
    ),
    "partial": (
        {
            "tasks.py": "from functools import partial\nK = 2\ndef g(a): return a\nh = partial(g, K)\ndef f(): return h()"
        },
        {"tasks:f", "tasks:h", "tasks:g", "tasks:K"},
        ("tasks.py", "K = 2", "K = 9"),
    ),
    "lambda": (
        {"tasks.py": "K = 2\ng = lambda x: x * K\ndef f(): return g(1)"},
        {"tasks:f", "tasks:g", "tasks:K"},
        ("tasks.py", "x * K", "x + K"),
    ),
    "comprehension variable with a global's name": (
        {"tasks.py": "x = 3\ndef f(): return [x for x in range(2)], x"},
        {"tasks:f", "tasks:x"},
        ("tasks.py", "x = 3", "x = 9"),
    ),
    "iterable of a comprehension over its own name": (
        {"tasks.py": "x = [1]\ndef f(): return [x for x in x]"},
        {"tasks:f", "tasks:x"},
        ("tasks.py", "[1]", "[9]"),
    ),
    "global shadowed in a nested function": (
        {"tasks.py": "x = 3\ndef f():\n    def g():\n        x = 1\n        return x\n    return g() + x"},
        {"tasks:f", "tasks:x"},
        ("tasks.py", "x = 3", "x = 9"),
    ),
    "global statement below a local of the same name": (
        {
            "tasks.py": "x = 3\ndef f():\n    x = 1\n    def g():\n        global x\n        return x\n    return g()",
        },
        {"tasks:f", "tasks:x"},
        ("tasks.py", "x = 3", "x = 9"),
    ),
    "nested function": (
        {"tasks.py": "def h(): return 1\ndef f():\n    def g(): return h()\n    return g()"},
        {"tasks:f", "tasks:h"},
        ("tasks.py", "return 1", "return 9"),
    ),
    "global set by a function that the module calls": (
        {"tasks.py": "x = 1\ndef setup():\n    global x\n    x = 2\nsetup()\ndef f(): return x"},
        None,
        ("tasks.py", "x = 2", "x = 9"),
    ),
    "first choice of a guarded import": (
        {
            "tasks.py": "try:\n    from .fast import g\nexcept ImportError:\n    from .slow import g\ndef f(): return g()",
            "fast.py": "def g(): return 1",
            "slow.py": "def g(): return 2",
        },
        {"tasks:f", "tasks:g", "fast:g", "slow:g"},
        ("fast.py", "return 1", "return 9"),
    ),
    "second choice of a guarded import": (
        {
            "tasks.py": "try:\n    from .fast import g\nexcept ImportError:\n    from .slow import g\ndef f(): return g()",
            "fast.py": "def g(): return 1",
            "slow.py": "def g(): return 2",
        },
        None,
        ("slow.py", "return 2", "return 9"),
    ),
    "guarded import inside the function": (
        {
            "tasks.py": (
                "def f():\n    try:\n        from .fast import g\n    except ImportError:\n        from .slow import g\n    return g()"
            ),
            "fast.py": "def g(): return 1",
            "slow.py": "def g(): return 2",
        },
        {"tasks:f", "fast:g", "slow:g"},
        ("fast.py", "return 1", "return 9"),
    ),
    "conditional definition": (
        {
            "tasks.py": "import sys\nif sys.maxsize > 1:\n    def g(): return 1\nelse:\n    def g(): return 2\ndef f(): return g()"
        },
        {"tasks:f", "tasks:g"},
        ("tasks.py", "return 2", "return 9"),
    ),
    "registry entry": (
        {"tasks.py": 'R = {}\ndef g(): return 1\nR["g"] = g\ndef f(): return R["g"]()'},
        {"tasks:f", "tasks:R", "tasks:g"},
        ("tasks.py", "return 1", "return 9"),
    ),
    "registry filled in a loop": (
        {
            "tasks.py": "R = {}\ndef g(): return 1\nfor h in (g,):\n    R[h.__name__] = h\ndef f(): return R['g']()"
        },
        None,
        ("tasks.py", "return 1", "return 9"),
    ),
    "registry filled by a method whose result is kept": (
        {"tasks.py": "R = {}\ndef g(): return 1\nx = R.setdefault('g', g)\ndef f(): return R['g']()"},
        None,
        ("tasks.py", "return 1", "return 9"),
    ),
    "registry filled by a call": (
        {
            "tasks.py": "from .registry import R, register\ndef g(): return 1\nregister(g)\ndef f(): return R['g']()",
            "registry.py": "R = {}\ndef register(g): R[g.__name__] = g",
        },
        None,
        ("tasks.py", "return 1", "return 9"),
    ),
    "subclass found by its base": (
        {
            "tasks.py": "from . import plugins\nfrom .base import Base\ndef f(): return [c().run() for c in Base.__subclasses__()]",
            "base.py": "class Base: pass",
            "plugins.py": "from .base import Base\nclass P(Base):\n    def run(self): return 1",
        },
        None,
        ("plugins.py", "return 1", "return 9"),
    ),
    "subclass that registers itself": (
        {
            "tasks.py": "from . import plugins\nfrom .base import Base\ndef f(): return [c().run() for c in Base.known]",
            "base.py": "class Base:\n    known = []\n    def __init_subclass__(cls): Base.known.append(cls)",
            "plugins.py": "from .base import Base\nclass P(Base):\n    def run(self): return 1",
        },
        None,
        ("plugins.py", "return 1", "return 9"),
    ),
    "attribute of a module set by another": (
        {
            "tasks.py": "from . import setup, settings\ndef f(): return settings.LIMIT",
            "settings.py": "LIMIT = 1",
            "setup.py": "from . import settings\nsettings.LIMIT = 2",
        },
        None,
        ("setup.py", "= 2", "= 9"),
    ),
    "side effect of the package": (
        {
            "__init__.py": "import numpy as np\nnp.random.seed(1)",
            "tasks.py": "import numpy as np\ndef f(): return np.random.rand()",
        },
        None,
        ("__init__.py", "seed(1)", "seed(9)"),
    ),
    "side effect of an import inside the function": (
        {
            "tasks.py": "import os\ndef f():\n    import PKG.setup\n    return os.environ['MODE']",
            "setup.py": "import os\nos.environ['MODE'] = 'a'",
        },
        None,
        ("setup.py", "'a'", "'b'"),
    ),
    "import inside the function": (
        {"tasks.py": "def f():\n    from .mod import g\n    return g()", "mod.py": "def g(): return 1"},
        {"tasks:f", "mod:g"},
        ("mod.py", "return 1", "return 9"),
    ),
    "walrus": (
        {"tasks.py": "K = 2\ndef f():\n    if (n := K) > 1:\n        return n"},
        {"tasks:f", "tasks:K"},
        ("tasks.py", "K = 2", "K = 9"),
    ),
    "match": (
        {
            "tasks.py": (
                "class Point:\n    __match_args__ = ('x',)\nclass Codes:\n    GOOD = 1\n"
                "def f(v):\n    match v:\n        case Point(x): return x\n        case Codes.GOOD: return 2\n        case [a, *rest]: return rest"
            )
        },
        {"tasks:f", "tasks:Point", "tasks:Codes"},
        ("tasks.py", "GOOD = 1", "GOOD = 9"),
    ),
    "enum member": (
        {"tasks.py": "from enum import Enum\nclass E(Enum):\n    A = 1\ndef f(): return E.A.value"},
        {"tasks:f", "tasks:E"},
        ("tasks.py", "A = 1", "A = 9"),
    ),
    "type alias": (
        {"tasks.py": "Pair = tuple[int, int]\ndef f(x: Pair): return x"},
        {"tasks:f", "tasks:Pair"},
        ("tasks.py", "[int, int]", "[int, float]"),
    ),
    "annotation written as a text": (
        {"tasks.py": "class C:\n    n = 1\ndef f(x: 'C'): return x.n"},
        {"tasks:f", "tasks:C"},
        ("tasks.py", "n = 1", "n = 9"),
    ),
    "annotation of a dataclass": (
        {
            "tasks.py": (
                "from dataclasses import dataclass\nclass Inner:\n    n = 1\n"
                "@dataclass\nclass Outer:\n    inner: Inner\ndef f(x: Outer): return x.inner.n"
            )
        },
        {"tasks:f", "tasks:Outer", "tasks:Inner"},
        ("tasks.py", "n = 1", "n = 9"),
    ),
    "replaced method": (
        {
            "tasks.py": "class C:\n    def run(self): return 1\nC.run = lambda self: 2\ndef f(): return C().run()"
        },
        {"tasks:f", "tasks:C"},
        ("tasks.py", "self: 2", "self: 9"),
    ),
    "rebound import": (
        {
            "tasks.py": "from .mod import g\ng = (lambda h: h)(g)\ndef f(): return g()",
            "mod.py": "def g(): return 1",
        },
        {"tasks:f", "tasks:g", "mod:g"},
        ("mod.py", "return 1", "return 9"),
    ),
    "computed attribute of a module": (
        {"tasks.py": "from . import mod\ndef f(n): return getattr(mod, n)()", "mod.py": "def g(): return 1"},
        {"tasks:f", "mod:*", "mod:g"},
        ("mod.py", "return 1", "return 9"),
    ),
    "computed attribute of a module that imports modules": (
        {
            "tasks.py": "from . import mod\ndef f(n): return getattr(mod, n).g()",
            "mod.py": "from . import inner",
            "inner.py": "def g(): return 1",
        },
        None,
        ("inner.py", "return 1", "return 9"),
    ),
    "computed name over star imports": (
        {"tasks.py": "from .mod import *\ndef f(n): return globals()[n]()", "mod.py": "def g(): return 1"},
        None,
        ("mod.py", "return 1", "return 9"),
    ),
    "import by name": (
        {
            "tasks.py": "import importlib\ndef f(): return importlib.import_module('PKG.mod').g()",
            "mod.py": "def g(): return 1",
        },
        None,
        ("mod.py", "return 1", "return 9"),
    ),
    "eval": (
        {"tasks.py": "def g(): return 1\ndef f(): return eval('g()')"},
        {"tasks:f", "tasks:*", "tasks:g"},
        ("tasks.py", "return 1", "return 9"),
    ),
    "folder without an init file": (
        {"tasks.py": "from .steps.mod import g\ndef f(): return g()", "steps/mod.py": "def g(): return 1"},
        {"tasks:f", "steps.mod:g"},
        ("steps/mod.py", "return 1", "return 9"),
    ),
    "attribute that a module computes": (
        {
            "tasks.py": "from . import mod\ndef f(): return mod.anything",
            "mod.py": "HIDDEN = 1\ndef __getattr__(name): return HIDDEN",
        },
        None,
        ("mod.py", "HIDDEN = 1", "HIDDEN = 9"),
    ),
    "registry filled by a call whose result is kept": (
        {
            "tasks.py": "from .registry import R, register\ndef g(): return 1\nkept = register(g)\ndef f(): return R['g']()",
            "registry.py": "R = {}\ndef register(g): R[g.__name__] = g",
        },
        None,
        ("tasks.py", "return 1", "return 9"),
    ),
    "registry filled through a base class of another module": (
        {
            "tasks.py": "from . import plugins\nfrom .base import Base\ndef f(): return Base.known",
            "base.py": "class Meta(type):\n    def __init__(cls, *a): Base.known.append(cls)\nclass Base:\n    known = []\nclass Root(metaclass=Meta): pass",
            "plugins.py": "from .base import Root\nclass P(Root):\n    n = 1",
        },
        None,
        ("plugins.py", "n = 1", "n = 9"),
    ),
    "method of a nested class": (
        {
            "tasks.py": "K = 1\nclass A:\n    class B:\n        def run(self): return K\ndef f(): return A.B().run()"
        },
        {"tasks:f", "tasks:A", "tasks:K"},
        ("tasks.py", "K = 1", "K = 9"),
    ),
    "state set up by a method of an object": (
        {
            "tasks.py": "import os\nclass Setup:\n    def go(self): os.environ['X'] = '1'\nsetup = Setup()\nsetup.go()\ndef f(): return os.environ['X']"
        },
        None,
        ("tasks.py", "= '1'", "= '9'"),
    ),
}


@pytest.mark.parametrize("case", REACHED)
def test_a_function_reaches_what_it_can_use_and_nothing_else(package, case):
    modules, parts, (edited, old, new) = REACHED[case]
    for module, source in modules.items():
        package.write(module, source)
    before = package.reach()
    if parts is not None:
        assert package.names() == parts
    assert old in modules[edited]
    package.write(edited, modules[edited].replace(old, new))
    assert package.reach().parts != before.parts


NOT_REACHED = {
    "baton's own decorator": (
        "import baton\n@baton.task(retries=1)\ndef f() -> baton.Json: return 1",
        "retries=1",
        "retries=9",
    ),
    "baton's own decorator under another name": (
        "from baton import Json, task as t\n@t(timeout_s=1)\ndef f() -> Json: return 1",
        "timeout_s=1",
        "timeout_s=9",
    ),
    "the DAG that lists it": (
        "from baton import Dag, Json, task\n@task\ndef f() -> Json: return 1\ndag = Dag('a', [f])",
        "'a'",
        "'b'",
    ),
    "a constant made by a call": ("X = sorted([2])\ndef f(): return 1", "[2]", "[9]"),
    "a function under a decorator that remembers nothing": (
        "def twice(g): return lambda: 2 * g()\n@twice\ndef g(): return 1\n@twice\ndef f(): return 3",
        "return 1",
        "return 9",
    ),
    "a registry that it does not use": (
        "R = {}\ndef f(): return 1\nR['x'] = 2",
        "R['x'] = 2",
        "R['x'] = 9",
    ),
    "a subclass of a class that it uses": (
        "class Base: pass\nclass Sub(Base):\n    n = 1\ndef f(): return Base()",
        "n = 1",
        "n = 9",
    ),
    "an instance of a class that it uses": (
        "class C:\n    def __init__(self, n): self.n = n\nx = C(1)\ny = C(2)\ndef f(): return x",
        "C(2)",
        "C(9)",
    ),
    "a method named like a builtin that cannot be followed": (
        "def g(): return 1\ndef f(frame): return frame.eval('a + b')",
        "return 1",
        "return 9",
    ),
}


@pytest.mark.parametrize("case", NOT_REACHED)
def test_what_a_function_cannot_use_does_not_count(package, case):
    source, old, new = NOT_REACHED[case]
    package.write("tasks.py", source)
    before = package.reach()
    assert old in source
    package.write("tasks.py", source.replace(old, new))
    assert package.reach() == before


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        pytest.param("def f(): return eval('1')", "tasks:f uses eval", id="eval"),
        pytest.param("def f(): return globals()", "tasks:f uses globals", id="globals"),
        pytest.param(
            "import sys\ndef f(): return sys.modules['a']", "tasks:f uses sys.modules", id="sys.modules"
        ),
        pytest.param(
            "def f(): return nowhere()", "tasks:nowhere is not defined in the source", id="unknown name"
        ),
    ],
)
def test_what_cannot_be_followed_is_named(package, source, reason):
    package.write("tasks.py", source)
    found = package.reach()
    assert any(one.startswith(f"{package.name}.{reason}") for one in found.unresolved), found.unresolved
    assert f"{package.name}.tasks:*" in found.parts


def test_a_computed_import_is_named(package):
    package.write("tasks.py", "def f(n):\n    import importlib\n    return importlib.import_module(n)")
    found = package.reach()
    assert found.computes_imports
    assert found.unresolved == (
        f"{package.name}.tasks:f finds a module by a computed name: every own module that was loaded counts",
    )


@pytest.mark.parametrize("definition", ["def eval(x): return x", "from .mod import eval"])
def test_an_own_function_named_like_a_builtin_is_followed(package, definition):
    package.write("mod.py", "def eval(x): return x")
    package.write("tasks.py", f"{definition}\ndef f(): return eval(1)")
    assert package.reach().unresolved == ()


@pytest.mark.parametrize("init", [True, False], ids=["package", "plain folder"])
def test_other_packages_of_the_user_are_followed_too(package, tmp_path, init):
    other = tmp_path / f"{package.name}_steps"
    other.mkdir()
    if init:
        (other / "__init__.py").write_text("")
    (other / "clean.py").write_text("def g(): return 1")
    package.write("tasks.py", "def f():\n    from PKG_steps.clean import g\n    return g()")
    before = package.reach()
    assert set(before.parts) == {f"{package.name}.tasks:f", f"{package.name}_steps.clean:g"}
    assert before.packages == {}
    (other / "clean.py").write_text("def g(): return 9")
    assert package.reach().parts != before.parts


def test_modules_beside_a_single_script_are_followed(package, tmp_path):
    import subprocess
    import sys

    (tmp_path / "beside_the_script.py").write_text("def g(): return 1")
    (tmp_path / "script.py").write_text(
        "from beside_the_script import g\ndef f(): return g()\n"
        "if __name__ == '__main__':\n    from baton.codetrace.reader import CodeReader\n    print(sorted(CodeReader().reach(f).parts))"
    )
    answer = subprocess.run(
        [sys.executable, tmp_path / "script.py"], capture_output=True, text=True, check=True
    )
    assert (
        answer.stdout.strip() == "['__main__:(imports)', '__main__:f', '__main__:g', 'beside_the_script:g']"
    )


def test_packages_are_recorded_with_their_versions(package):
    import importlib.metadata

    package.write(
        "tasks.py",
        "import json\nimport numpy as np\ndef f():\n    import polars.selectors as cs\n    return np, cs, json",
    )
    assert package.reach().packages == {
        "numpy": importlib.metadata.version("numpy"),
        "polars": importlib.metadata.version("polars"),
    }


def test_a_package_that_only_other_functions_use_is_not_recorded(package):
    package.write("tasks.py", "import numpy as np\ndef g(): return np\ndef f(): return 1")
    assert package.reach().packages == {}


def test_a_package_that_is_not_installed_counts_as_absent(package):
    package.write("tasks.py", "def f():\n    import nowhere_at_all\n    return nowhere_at_all")
    assert package.reach().packages == {"nowhere_at_all": "absent"}


def test_a_module_that_is_not_python_counts_by_its_bytes(package):
    package.write("tasks.py", "from .broken import g\ndef f(): return g()")
    package.write("broken.py", "def g(: return 1")
    before = package.reach()
    assert any("cannot be read as Python" in one for one in before.unresolved)
    package.write("broken.py", "def g(: return 2")
    assert package.reach().parts != before.parts


def test_a_module_in_another_encoding_is_read_as_python_reads_it(package):
    path = package.folder / package.name / "tasks.py"
    package.write("tasks.py", "")
    path.write_bytes("# -*- coding: latin-1 -*-\nNAME = 'é'\ndef f(): return NAME\n".encode("latin-1"))
    assert package.names() == {"tasks:f", "tasks:NAME"}
    path.write_bytes(b"\xef\xbb\xbfdef f(): return 1\n")
    assert package.names() == {"tasks:f"}


def test_code_without_a_source_equals_no_other():
    from baton.codetrace.reader import CodeReader

    made: dict[str, object] = {"__name__": "nowhere_module"}
    exec("def f(): return 1", made)
    first, second = CodeReader().reach(made["f"]), CodeReader().reach(made["f"])  # type: ignore[arg-type]
    assert not first.is_known
    assert first.parts != second.parts
    assert "no readable source" in first.unresolved[0]


def test_a_compiled_module_counts_by_its_bytes(package):
    import importlib.machinery

    suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
    package.write("tasks.py", "def f():\n    from .native import g\n    return g()")
    package.write(f"native{suffix}", "one")
    before = package.reach()
    package.write(f"native{suffix}", "two")
    assert package.reach().parts != before.parts


def test_a_long_chain_of_helpers_is_followed_to_its_end(package):
    count = 1500
    chain = "\n".join(f"def g{number}(): return g{number + 1}()" for number in range(count))
    package.write("tasks.py", f"{chain}\ndef g{count}(): return 1\ndef f(): return g0()")
    assert len(package.reach().parts) == count + 2


def test_an_edit_of_code_that_runs_already_does_not_change_what_ran(package):
    from baton.codetrace.reader import CodeReader

    package.write("mod.py", "def g(): return 1")
    package.write("tasks.py", "from .mod import g\ndef f(): return g()")
    loaded = package.load()
    before = CodeReader().reach(loaded.f)
    (package.folder / package.name / "mod.py").write_text("def g(): return 2")
    assert loaded.f() == 1
    assert CodeReader().reach(loaded.f) == before
    assert CodeReader().reach(package.load().f) != before


def test_a_reader_notices_an_edit_of_a_module_that_is_not_loaded(package):
    from baton.codetrace.reader import CodeReader

    package.write("mod.py", "def g(): return 1")
    package.write("tasks.py", "def f():\n    from .mod import g\n    return g()")
    reader, loaded = CodeReader(), package.load()
    before = reader.reach(loaded.f)
    (package.folder / package.name / "mod.py").write_text("def g(): return 12")
    assert reader.reach(loaded.f) != before


def test_what_was_parsed_is_remembered_by_content(package, tmp_path):
    memory = tmp_path / "memory"
    package.write("tasks.py", PLAIN)
    first = package.reach(memory=memory)
    names = sorted(path.name for path in memory.iterdir())
    assert package.reach(memory=memory) == first
    assert sorted(path.name for path in memory.iterdir()) == names
    for path in memory.iterdir():
        path.write_bytes(b"[torn")
    assert package.reach(memory=memory) == first


def test_a_memory_that_cannot_be_written_is_done_without(package, tmp_path):
    (tmp_path / "taken").write_text("a file where the folder should be")
    package.write("tasks.py", PLAIN)
    assert package.reach(memory=tmp_path / "taken" / "memory") == package.reach()


def test_reach_is_the_same_in_another_folder(package, tmp_path, monkeypatch):
    package.write("tasks.py", PLAIN)
    before = package.reach()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    Path(tmp_path / package.name).rename(elsewhere / package.name)
    monkeypatch.syspath_prepend(str(elsewhere))
    assert package.reach() == before


def test_of_a_pipeline_that_baton_brings_only_its_module_is_the_users_own():
    reach = CodeReader(None).reach(left.function)
    assert {label.partition(":")[0] for label in reach.parts} == {"baton.testing.pipelines"}
    assert not reach.computes_imports
