"""What an expression of the user's is, while parsing: a number, an array, a tuple, or static.

Holds: a Scalar is typed IR; everything else exists at compile time only. Bindings are what names
stand for at a point of the program.
"""

from __future__ import annotations

from kernelkit.errors import Span
from kernelkit.frontend.captures import Capture as Capture
from kernelkit.frontend.promotion import ScalarType
from kernelkit.ir.nodes import ArrayVar, Constant, Expr
from kernelkit.records import record


@record(eq=False)
class Scalar:
    """A number: run-time, or a Constant. Weak: it came from literals only."""

    expr: Expr
    weak: bool = False

    @property
    def type(self) -> ScalarType:
        return ScalarType(self.expr.type, self.weak)

    @property
    def constant(self) -> bool | int | float | complex | None:
        """The value, where it is known when compiling."""
        return self.expr.value if isinstance(self.expr, Constant) else None


@record(eq=False)
class ArrayRef:
    """An array or a view."""

    array: ArrayVar


@record(eq=False)
class TupleValue:
    """A tuple; `cls` is the NamedTuple class it is an instance of."""

    items: tuple[Value, ...]
    cls: type | None = None


@record(eq=False)
class Static:
    """Anything known when compiling that is no number: None, a function, a module, a string."""

    value: object


@record(eq=False)
class Unknown:
    """Not known yet (a later pass will tell), or wrong and already reported."""


UNKNOWN = Unknown()
Value = Scalar | ArrayRef | TupleValue | Static | Unknown


# ---------------------------------------------------------------- bindings
@record
class VarBinding:
    """A scalar variable; `constant` where its one assignment gave it a known value."""

    key: str
    constant: Scalar | None = None


@record
class TupleBinding:
    items: tuple[Binding, ...]
    cls: type | None = None


@record
class Conflict:
    """Bound differently on the ways that lead here."""

    message: str
    span: Span


Binding = VarBinding | TupleBinding | ArrayRef | Static | Unknown | Conflict
