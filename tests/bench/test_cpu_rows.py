"""Rows: who is missing or wrong is said, the others are measured in turns."""

from __future__ import annotations

import numpy as np
import pytest

from kernelkit.bench import cpu_rows
from kernelkit.bench.cpu_cases import Case, Rival
from kernelkit.bench.cpu_problems import Problem, Runner
from kernelkit.bench.cpu_rows import Effort, Row, in_turns, rows


class FakeMachine:
    threads = 3

    def limit(self, problem):
        return 1e-9, "memory"


class Peer:
    """A module of contenders; it notes how many threads it was given."""

    threads = None

    def use_threads(self, count):
        self.threads = count


def double(values):
    out = np.zeros_like(values)
    return Runner(lambda: np.multiply(values, 2, out), lambda: out)


def lazy(values):
    return Runner(lambda: None, lambda: values)


def broken(values):
    raise ValueError("no such thing")


@pytest.fixture
def peer(monkeypatch):
    module = Peer()
    functions = {"cpu_launches.double": double, "lazy": lazy, "broken": broken, "good": double}

    def load(contender):
        if contender == "absent":
            raise ModuleNotFoundError("No module named 'absent'", name="absent")
        return functions[contender], module

    monkeypatch.setattr(cpu_rows, "load", load)
    return module


def doubling(size):
    values = np.random.default_rng().random(size)
    return Problem((values,), 2 * values, values.nbytes)


def measure(*rivals):
    case = Case("double", "doubling", doubling, (9,), ((9,),), rivals)
    return list(rows(case, (9,), FakeMachine(), Effort(3, 0.0)))


def test_each_rival_gets_a_row(peer):
    found = measure(
        Rival("good", "good", 1e9),
        Rival("lazy", "lazy"),
        Rival("broken", "broken"),
        Rival("absent", "absent"),
    )
    assert [row.rival for row in found] == ["good", "lazy", "broken", "absent"]
    assert [row.failed for row in found] == [False, True, True, False]
    assert [row.pairs for row in found] == [3, 0, 0, 0]
    assert found[0].met
    assert found[0].limited_by == "memory"
    assert "100.000% of the elements are wrong" in found[1].trouble
    assert "ValueError: no such thing" in found[2].trouble
    assert found[3].trouble == "not installed: absent"
    assert peer.threads == 3


def test_a_rival_may_solve_another_problem(peer):
    (row,) = measure(Rival("good", "good", problem=lambda size: doubling(size + 1)))
    assert row.pairs == 3
    assert row.met is None


def test_contenders_run_in_turns_behind_a_warm_up():
    calls = []
    times = in_turns(lambda: calls.append("o"), lambda: calls.append("t"), Effort(4, 0.0))
    assert "".join(calls) == "ot" * 5
    assert len(times) == 4
    assert all(seconds >= 0 for pair in times for seconds in pair)


def test_time_is_spent_up_to_the_most_pairs():
    assert len(in_turns(int, int, Effort(pairs=2, seconds=5, most=40))) == 40


def test_a_row_is_held_to_its_ratio():
    row = Row("a", "a", "b", 0.5, None, ours=2.0, theirs=4.0, ratio=0.5, limit=0.5)
    assert row.met is True
    assert row.nearness == 0.25
    assert Row("a", "a", "b", 0.5, None, ratio=0.51).met is False
    assert Row("a", "a", "b", None, None, ratio=0.51).met is None
    assert Row("a", "a", "b", 0.5, None).met is None
