"""Pipelines that nobody should declare: every one ends with the right code, and says why."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.bad_input.attempts import Attempt, attempt, must_be_told

BEGIN = "from baton import *\nimport functools\n"
_names = itertools.count()

INVALID = {
    "a circle": """
        @task
        def one(two: Json) -> Json: return two
        @task
        def two(one: Json) -> Json: return one
        dag = Dag('x', [one, two])""",
    "a task that needs itself": """
        @task
        def one(one: Json) -> Json: return one
        dag = Dag('x', [one])""",
    "two producers": """
        @task(outputs='a')
        def one() -> Json: return 1
        @task(outputs='a')
        def two() -> Json: return 2
        dag = Dag('x', [one, two])""",
    "two tasks of one name": """
        @task(name='a')
        def one() -> Json: return 1
        @task(name='a', outputs='b')
        def two() -> Json: return 2
        dag = Dag('x', [one, two])""",
    "an unknown input": """
        @task
        def one(nowhere: Json) -> Json: return 1
        dag = Dag('x', [one])""",
    "an input of another kind": """
        @task
        def one() -> Json: return 1
        @task
        def two(one: Table) -> Json: return 1
        dag = Dag('x', [one, two])""",
    "a lambda": "dag = Dag('x', [task(lambda: 1)])",
    "a closure": """
        def make(number):
            @task
            def one() -> Json: return number
            return one
        dag = Dag('x', [make(1)])""",
    "a generator": """
        @task
        def one() -> Json: yield 1
        dag = Dag('x', [one])""",
    "an asynchronous function": """
        @task
        async def one() -> Json: return 1
        dag = Dag('x', [one])""",
    "an asynchronous generator": """
        @task
        async def one() -> Json: yield 1
        dag = Dag('x', [one])""",
    "a class": """
        @task
        class one: pass
        dag = Dag('x', [one])""",
    "a partial function": """
        def one(a: int) -> Json: return 1
        dag = Dag('x', [task(name='p')(functools.partial(one, 1))])""",
    "a partial function without a name": """
        def one(a: int) -> Json: return 1
        dag = Dag('x', [task(functools.partial(one, 1))])""",
    "an object that can be called": """
        class One:
            def __call__(self) -> Json: return 1
        dag = Dag('x', [task(name='o')(One())])""",
    "a built-in function": "dag = Dag('x', [task(name='p')(print)])",
    "a number": "dag = Dag('x', [task(name='p')(3)])",
    "a plain function in the list": """
        def one() -> Json: return 1
        dag = Dag('x', [one])""",
    "no list of tasks": "dag = Dag('x', 3)",
    "a name that is a path": """
        @task(name='../../x')
        def one() -> Json: return 1
        dag = Dag('x', [one])""",
    "an output that is a path": """
        @task(outputs='../x')
        def one() -> Json: return 1
        dag = Dag('x', [one])""",
    "an annotation that does not exist": """
        @task
        def one(a: "Nothing") -> Json: return 1
        dag = Dag('x', [one])""",
    "any number of arguments": """
        @task
        def one(*a: Json, **b: Json) -> Json: return 1
        dag = Dag('x', [one])""",
    "after nothing": """
        @task(after='nothing')
        def one() -> Json: return 1
        dag = Dag('x', [one])""",
    "retries below nothing": """
        @task(retries=-1)
        def one() -> Json: return 1
        dag = Dag('x', [one])""",
    "a timeout that is not a number": """
        @task(timeout_s=float('nan'))
        def one() -> Json: return 1
        dag = Dag('x', [one])""",
    "a timeout that is a text": """
        @task(timeout_s='soon')
        def one() -> Json: return 1
        dag = Dag('x', [one])""",
    "a parameter without a default": """
        class P(Parameters):
            a: int
        @task
        def one(a: int) -> Json: return 1
        dag = Dag('x', [one], parameters=P)""",
    "parameters that are no class of parameters": """
        @task
        def one() -> Json: return 1
        dag = Dag('x', [one], parameters=dict)""",
    "a parameter of a type without a form": """
        class P(Parameters):
            a: object = 1
        @task
        def one(a: complex) -> Json: return 1
        dag = Dag('x', [one], parameters=P)""",
    "a module that leaves": "raise SystemExit(0)",
    "a module that is interrupted by its own error": "raise RecursionError('deep')",
    "a module that is no Python": "def (",
    "a module with a NUL": "a = 1\0",
    "a target that does not exist": """
        @task
        def one() -> Json: return 1
        dag = Dag('x', [one], default='two')""",
}


def run(source: str, *arguments: str) -> Attempt:
    import textwrap

    module = f"declared_{next(_names)}"
    text = BEGIN + textwrap.dedent(source)
    return attempt(*(arguments or ("list",)), "--pipeline", f"{module}:dag", files={f"{module}.py": text})


@pytest.mark.parametrize("case", INVALID)
def test_a_declaration_that_breaks_a_rule_is_refused(case: str) -> None:
    ended = run(INVALID[case])
    must_be_told(ended)
    assert ended.code == 3, ended


def test_a_chain_of_two_thousand_tasks_is_no_mistake() -> None:
    source = """
        def body(before: Json) -> Json: return 1
        def first() -> Json: return 1
        tasks = [task(name='t0', outputs='t0')(first)]
        for number in range(1, 2000):
            text = f"def t{number}(t{number - 1}: Json) -> Json: return 1"
            exec(text)
            tasks.append(task(locals()[f't{number}']))
        dag = Dag('x', tasks)"""
    ended = run(source, "dag")
    must_be_told(ended)
    assert ended.code == 0, ended.err[:400]


RETURNED = {
    "not a number": "return float('nan')",
    "a set": "return {1}",
    "an object": "return object()",
    "bytes": "return b'a'",
    "a circle": "a = []; a.append(a); return a",
    "lists nested deep": "a = []\n    for _ in range(5000): a = [a]\n    return a",
    "a function": "return print",
    "two values": "return 1, {2}",
    "leaving": "raise SystemExit(0)",
    "an exception that cannot be shown": (
        "class E(Exception):\n        def __str__(self): raise ValueError\n    raise E"
    ),
    "an exception whose hint is no text": "e = Exception('x'); e.hint = 3; raise e",
    "an exception of several": "raise ExceptionGroup('x', [ValueError()])",
    "an exception with a secret": "raise ValueError('http://me:hunter2@127.0.0.1/x?token=hunter2 failed')",
    "recursion without an end": "return one()",
}


@pytest.mark.parametrize("case", RETURNED)
def test_a_task_that_gives_what_it_must_not_fails_alone(case: str) -> None:
    ended = run(f"@task\ndef one() -> Json:\n    {RETURNED[case]}\ndag = Dag('x', [one])\n", "run")
    must_be_told(ended)
    assert ended.code == 1, ended
    assert "task 'one' failed" in ended.err


IDENTIFIERS = st.sampled_from(["a", "b", "c", "task", "_", "é", "x" * 90])


@settings(
    max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
@given(
    tasks=st.lists(
        st.tuples(
            st.text(max_size=4) | IDENTIFIERS,
            st.lists(IDENTIFIERS, max_size=3),
            st.lists(IDENTIFIERS | st.text(max_size=3), max_size=2),
            st.lists(IDENTIFIERS, max_size=2),
            st.booleans(),
        ),
        max_size=5,
    ),
    name=st.text(max_size=5),
)
def test_no_declaration_is_a_defect(tasks: list[tuple], name: str) -> None:
    lines = []
    for number, (called, inputs, outputs, after, effect) in enumerate(tasks):
        arguments = ", ".join(f"{one}: Json" for one in dict.fromkeys(inputs))
        gives = "Json" if len(outputs) < 2 else f"tuple[{', '.join(['Json'] * len(outputs))}]"
        lines.append(
            f"@task(name={called!r}, outputs={tuple(outputs)!r}, after={tuple(after)!r}, effect={effect})\n"
            f"def f{number}({arguments}) -> {gives}: return {[1] * len(outputs) or [1]}\n"
        )
    listed = ", ".join(f"f{number}" for number in range(len(tasks)))
    ended = run("".join(lines) + f"dag = Dag({name!r}, [{listed}])", "plan")
    must_be_told(ended)
    assert ended.code in (0, 3), ended
