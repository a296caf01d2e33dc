"""Random programs over integers mean in a kernel what they mean in Python.

The same source runs in CPython and, inlined into a kernel, on the reference back end. Values stay
small, so that Python's integers and int64 agree; what is tried is control flow, scopes, laziness,
the order of evaluation, tuples, elements and effects.
"""

from __future__ import annotations

import linecache
import random

import numpy as np
import pytest

import kernelkit as kk

HELPERS = """
def tick(a, k):
    a[-1] += k
    if a[-1] % 3 == 0:
        return a[-1]
    return k

def pick(x, y, lo=0, *, swap=False):
    if swap:
        x, y = y, x
    for n in range(lo, 4):
        if (x + n) % 4 == y % 4:
            return n, x
    return -1, y
"""


class Program:
    """Writes one random function, statement by statement."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.lines: list[str] = []
        self.names = ["x", "y", "p", "q", "r"]
        self.depth = 0
        self.fresh = 0

    # -------------------------------------------------------- expressions
    def number(self, depth: int = 0) -> str:
        r = self.rng
        if depth > 2 or r.random() < 0.35:
            element = f"a[{r.choice(self.names)} % 6]"
            return r.choice([*self.names, str(r.randint(-4, 9)), element])
        a, b, c = self.number(depth + 1), self.number(depth + 1), self.test(depth + 1)
        return r.choice([
            f"({a} + {b})", f"({a} - {b})", f"(({a} * {b}) % 101)",
            f"(({a}) // (abs({b}) + 1))", f"(({a}) % (abs({b}) + 2))", f"min({a}, {b})", f"max({a}, {b}, 3)", f"abs({a})",
            f"({a} if {c} else {b})", f"tick(a, {a} % 5)",
            f"({a} and {b})", f"({a} or {b})", f"pick({a}, {b})[{r.randint(0, 1)}]",
            f"pick({a}, y={b}, swap=True)[0]", f"((({a}) & 7) << 2)", f"({a} ^ 5)", f"(-({a}))",
            f"(p := {a} % 50)", f"int({c})", f"a[{a} % 6]", f"divmod({a}, 7)[1]",
        ])  # fmt: skip

    def index(self, depth: int) -> str:
        return self.rng.choice([str(self.rng.randint(-6, 5)), f"({self.number(depth)}) % 6"])

    def test(self, depth: int = 0) -> str:
        r = self.rng
        if depth > 2 or r.random() < 0.4:
            a, b = self.number(3), self.number(3)
            return f"{a} {r.choice(['<', '<=', '==', '!=', '>', '>='])} {b}"
        a, b = self.test(depth + 1), self.test(depth + 1)
        n = [self.number(depth + 1) for _ in range(3)]
        return r.choice([
            f"({a} and {b})", f"({a} or {b})", f"not ({a})", f"({n[0]} < {n[1]} <= {n[2]})",
            f"(tick(a, 1) > {n[0]} and {a})", f"{n[0]} in (1, 2, {n[1]})", f"bool({n[0]})",
        ])  # fmt: skip

    # -------------------------------------------------------- statements
    def put(self, text: str) -> None:
        self.lines.append("    " * (self.depth + 1) + text)

    def block(self, loops: int, size: int) -> None:
        self.depth += 1
        for _ in range(self.rng.randint(1, size)):
            self.statement(loops)
        self.depth -= 1

    def statement(self, loops: int) -> None:
        r, name = self.rng, self.rng.choice(self.names)
        kinds = ["assign"] * 4 + ["element", "augmented", "swap", "call", "if", "if"]
        if self.depth < 3:
            kinds += ["for", "while", "tuple"]
        if loops:
            kinds += ["leave", "leave"]
        if r.random() < 0.05:
            kinds = ["return"]
        getattr(self, "write_" + r.choice(kinds))(name, loops)

    def write_assign(self, name: str, loops: int) -> None:
        self.put(f"{name} = ({self.number()}) % 1009")

    def write_element(self, name: str, loops: int) -> None:
        self.put(f"a[{self.index(1)}] = ({self.number()}) % 97")

    def write_augmented(self, name: str, loops: int) -> None:
        self.put(f"a[{self.index(1)}] {self.rng.choice(['+', '-'])}= ({self.number(1)}) % 13")
        self.put(f"{name} += ({self.number(1)}) % 11")

    def write_swap(self, name: str, loops: int) -> None:
        other = self.rng.choice(self.names)
        self.put(f"{name}, a[{self.index(2)}] = a[{self.index(2)}] % 40, ({other} + {name}) % 31")
        self.put(f"(p, q), r = (q, {self.number(2)} % 17), p")

    def write_call(self, name: str, loops: int) -> None:
        self.put(f"{name}, r = pick({self.number(2)} % 30, {name} % 30)")

    def write_if(self, name: str, loops: int) -> None:
        self.put(f"if {self.test()}:")
        self.block(loops, 3)
        if self.rng.random() < 0.4:
            self.put(f"elif {self.test()}:")
            self.block(loops, 2)
        if self.rng.random() < 0.5:
            self.put("else:")
            self.block(loops, 2)

    def write_for(self, name: str, loops: int) -> None:
        r = self.rng
        bounds = r.choice(["4", "1, 5", "6, 0, -2", f"{self.number(2)} % 5", "3, 3", "9, -1, -3"])
        self.put(f"for {name} in range({bounds}):")
        self.block(loops + 1, 4)
        self.write_else(loops)

    def write_while(self, name: str, loops: int) -> None:
        self.fresh += 1
        count = f"c{self.fresh}"
        self.put(f"{count} = 0")
        self.put(f"while {count} < {self.rng.randint(1, 5)} and ({self.test()} or {count} < 2):")
        self.depth += 1
        self.put(f"{count} += 1")
        self.depth -= 1
        self.block(loops + 1, 4)
        self.write_else(loops)

    def write_tuple(self, name: str, loops: int) -> None:
        items = ", ".join(f"({self.number(2)}) % 23" for _ in range(self.rng.randint(1, 3)))
        self.put(f"for {name} in ({items},):")
        self.block(loops + 1, 2)
        self.write_else(loops)

    def write_else(self, loops: int) -> None:
        if self.rng.random() < 0.4:
            self.put("else:")
            self.block(loops, 2)

    def write_leave(self, name: str, loops: int) -> None:
        self.put(f"if {self.test(1)}:")
        self.put("    " + self.rng.choice(["break", "continue"]))

    def write_return(self, name: str, loops: int) -> None:
        self.put(f"if {self.test(1)}:")
        self.put(f"    return ({self.number(1)}) % 1009, {name}")

    def source(self) -> str:
        self.lines = ["def program(a, x, y):", "    p = q = r = x + 1"]
        for _ in range(self.rng.randint(3, 9)):
            self.statement(0)
        self.put("return (p + 3 * q) % 1009, r")
        kernel = ["", "def kernel(a, out, x, y):", "    out[0], out[1] = program(a, x, y)", ""]
        return HELPERS + "\n".join(self.lines + kernel)


def load(source: str, name: str) -> dict[str, object]:
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    scope: dict[str, object] = {"__name__": name}
    exec(compile(source, name, "exec"), scope)
    return scope


@pytest.mark.parametrize("chunk", range(10))
def test_random_programs_mean_what_they_mean_in_python(chunk):
    for seed in range(chunk * 12, chunk * 12 + 12):
        source = Program(seed).source()
        scope = load(source, f"<program {seed}>")
        kernel = kk.kernel(scope["kernel"])
        for x, y in ((0, 1), (7, -3)):
            memory = [5, 0, 2, 11, 3, 8]
            want = scope["program"](memory, x, y)
            a, out = np.array([5, 0, 2, 11, 3, 8]), np.full(2, -77)
            with kk.use("python"):
                kernel[1, 1](a, out, x, y)
            assert (tuple(out), list(a)) == (want, memory), f"seed {seed}, x={x}, y={y}\n{source}"
