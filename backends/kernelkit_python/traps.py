"""What functions that a kernel calls raise, before it is known who called them."""

from __future__ import annotations

from kernelkit.errors import KernelFault


class Trap(Exception):
    """What functions that a kernel calls raise: they know the site and what is wrong, but not who
    runs. `{name}` in the message stands for the site's name."""

    def __init__(self, fault: type[KernelFault], site: int, message: str) -> None:
        super().__init__(message)
        self.fault, self.site, self.message = fault, site, message
