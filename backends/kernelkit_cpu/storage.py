"""Memory of a block: contexts, shared and local arrays.

In: sizes. Out: addresses. Little of it lies on the stack, the rest in the worker's scratch memory.
Holds: the stack of a function grows by at most STACK bytes, whatever the kernel asks for.
"""

from __future__ import annotations

from kernelkit_cpu.text import Operand, Text

#: Bytes of a function's stack that blocks may use. Threads have 512 KiB at the least.
STACK = 160 * 1024
LINE = 64


class Storage:
    def __init__(self, text: Text, scratch: Operand = "%scratch") -> None:
        self.text, self.scratch = text, scratch
        self.on_stack = 0
        #: Bytes of scratch memory in use.
        self.in_scratch = 0

    def take(self, size: int, hint: str) -> Operand:
        """The address of so many bytes, on a cache line of its own."""
        size = -(-max(size, 1) // LINE) * LINE
        if self.on_stack + size <= STACK:
            self.on_stack += size
            return self.text.alloca(f"[{size} x i8]", align=LINE, hint=hint)
        offset = self.in_scratch
        self.in_scratch += size
        name = f"%{hint}.{offset}"
        self.text.entry.append(f"  {name} = getelementptr i8, ptr {self.scratch}, i64 {offset}")
        return name
