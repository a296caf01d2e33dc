"""Which processor code is made for.

In: a preset, the name of a CPU as LLVM knows it, or nothing (this machine). Out: a CpuTarget.
Holds: `features` names every instruction set that code for the target may use, so that a target can
be taken apart into two strings and put together again; LLVM is loaded when a question needs it.
"""

from __future__ import annotations

import functools
import os
import re
import sys
import threading
from collections.abc import Iterable

from kernelkit.errors import BackendError
from kernelkit.records import record

#: Names a CPU for this process, as `CpuTarget.parse` understands it.
VARIABLE = "KERNELKIT_CPU"

_X86, _ARM = "x86_64-unknown-linux-gnu", "aarch64-linux-gnu"
_SSE2 = "64bit cmov cx8 fxsr mmx sse sse2"
_AVX2 = (
    f"{_SSE2} avx avx2 bmi bmi2 crc32 cx16 f16c fma lzcnt movbe pclmul popcnt sahf sse3 sse4.1 "
    "sse4.2 ssse3"
)
_AVX512 = f"{_AVX2} adx aes avx512bw avx512cd avx512dq avx512f avx512vl"
_NEON = "fp-armv8 neon aes crc dotprod fullfp16 lse rcpc rdm sha2"

#: What no kernel uses, such as what saves registers or switches tasks. Virtual machines hide much of
#: it, which keeps nobody from running code made for a CPU that has it.
_SYSTEM = (
    "cldemote clflushopt clwb clzero enqcmd fsgsbase hreset invpcid kl lwp movdir64b movdiri mwaitx "
    "pconfig pku prefetchi prfchw ptwrite rdpid rdpru rdrnd rdseed rtm serialize sgx shstk tsxldtrk "
    "uintr usermsr waitpkg wbnoinvd widekl xsave xsavec xsaveopt xsaves"
)

#: Short names: (LLVM's name, features, triple).
PRESETS = {
    "sse2": ("x86-64", _SSE2, _X86),
    "avx2": ("haswell", _AVX2, _X86),
    "avx512": ("skylake-avx512", _AVX512, _X86),
    "neon": ("neoverse-n1", _NEON, _ARM),
}
#: (features, all needed; bits of the widest vector register they give), widest first.
_WIDTHS = (
    (("avx512f", "avx512bw", "avx512dq", "avx512vl"), 512),
    (("avx2", "fma"), 256),
)


#: Held by who is inside LLVM, and by a fork: a child that was forked while another thread is in
#: there, or imports it, would find locks taken for ever.
LLVM = threading.RLock()
os.register_at_fork(before=LLVM.acquire, after_in_parent=LLVM.release, after_in_child=LLVM.release)


@record
class CpuTarget:
    """A processor: LLVM's name for it, its features as LLVM writes them (+a,-b), its triple."""

    name: str
    features: str
    triple: str

    @staticmethod
    def parse(name: str, features: str = "") -> CpuTarget:
        """A target by preset, LLVM name or "native"; or the one that had this name and features."""
        if features:
            return CpuTarget(name, features, _triple(_enabled(features)))
        return _named(name)

    def has(self, feature: str) -> bool:
        """Whether code for this target may use a feature, by LLVM's name: `avx512f`, `fma`."""
        return feature in _enabled(self.features)

    @property
    def bits(self) -> int:
        """How wide the widest vector registers are."""
        return next((bits for needed, bits in _WIDTHS if all(map(self.has, needed))), 128)

    @property
    def is_x86(self) -> bool:
        return self.triple.startswith("x86_64")

    @property
    def is_arm(self) -> bool:
        return self.triple.startswith(("aarch64", "arm64"))

    def runs_here(self) -> bool:
        """Whether this machine can run code for the target; compiling for it always works."""
        return not self.why_not_here()

    def why_not_here(self) -> str:
        """What keeps this machine from running code for the target; "" if nothing does."""
        here = host()
        if self.triple.partition("-")[0] != here.triple.partition("-")[0]:
            return (
                f"code for {self.name} ({self.triple.partition('-')[0]}) can be compiled here but "
                f"not run: this machine is a {here.triple.partition('-')[0]}; {_REMEDY}"
            )
        lacking = sorted(_enabled(self.features) - _enabled(here.features))
        if not lacking:
            return ""
        return (
            f"code for {self.name} can be compiled here but not run: this machine ({here.name}) "
            f"has no {', '.join(lacking)}; {_REMEDY}"
        )


_REMEDY = f'unset {VARIABLE}, or set it to "native"'


def chosen() -> CpuTarget:
    """The target that the environment asks for; this machine where it asks for none."""
    return CpuTarget.parse(os.environ.get(VARIABLE) or "native")


@functools.cache
def host() -> CpuTarget:
    """This machine."""
    with LLVM:
        return _host()


def _host() -> CpuTarget:
    import llvmlite.binding as llvm

    known = dict(llvm.get_host_cpu_features())
    triple = llvm.get_default_triple()
    if triple.startswith(("aarch64", "arm64")):
        known |= {"neon": True, "fp-armv8": True}  # LLVM does not ask every system for them
    text = ",".join(f"{'+' if there else '-'}{name}" for name, there in sorted(known.items()))
    return CpuTarget(llvm.get_host_cpu_name(), text, triple)


@functools.lru_cache(maxsize=64)
def _enabled(features: str) -> frozenset[str]:
    return frozenset(each[1:] for each in features.split(",") if each.startswith("+"))


def _triple(features: frozenset[str]) -> str:
    """The triple of a set of features: this machine's, or the one of the other kind of CPU."""
    wanted = _ARM if "neon" in features else _X86
    here = host().triple
    same = here.startswith("x86_64") if wanted == _X86 else here.startswith(("aarch64", "arm64"))
    return here if same else wanted


@functools.lru_cache(maxsize=64)
def _named(name: str) -> CpuTarget:
    if name == "native":
        return host()
    if name in PRESETS:
        cpu, features, _ = PRESETS[name]
        return _make(cpu, features.split())
    for cpu, features, _ in PRESETS.values():
        if name == cpu:
            return _make(cpu, features.split())
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", name):
        raise BackendError(_unknown(name))
    return _make(name, _ask_in_another_process(name))


def _make(cpu: str, features: Iterable[str]) -> CpuTarget:
    known = sorted(set(features))
    return CpuTarget(cpu, ",".join(f"+{each}" for each in known), _triple(frozenset(known)))


def _unknown(name: str) -> str:
    return (
        f"there is no CPU {name!r} (from {VARIABLE}, if that is set); write native, "
        f"{', '.join(PRESETS)}, or a 64-bit x86 or ARM CPU as LLVM names it, such as znver4"
    )


# ---------------------------------------------------------------- what LLVM knows of a CPU
def _ask_in_another_process(name: str) -> list[str]:
    """The features of a CPU, by its LLVM name. LLVM ends the process over a name that it does not
    know, so another one asks."""
    import subprocess  # a third of what the back end would else take to import

    for triple in dict.fromkeys((host().triple, _X86, _ARM)):
        program = (
            f"import sys; sys.path[:] = {sys.path!r}\n"
            "from kernelkit_cpu.targets import features_of\n"
            f"print(*sorted(features_of({name!r}, {triple!r})))"
        )
        answer = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if answer.returncode == 0 and "not a recognized processor" not in answer.stderr:
            return answer.stdout.split()
    raise BackendError(_unknown(name))


def features_of(name: str, triple: str) -> set[str]:
    """The features of a CPU that LLVM knows, by a question that LLVM does answer: a function made
    for that CPU and one feature is inlined into one made for the CPU where it has the feature."""
    import llvmlite.binding as llvm

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    asked = _askable(triple)
    module = llvm.parse_assembly(_question(name, asked))
    machine = llvm.Target.from_triple(triple).create_target_machine(cpu=name)
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.inlining_threshold = 1_000_000
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    left = {asked[int(number)] for number in re.findall(r"call .*@f(\d+)\(", str(module))}
    return set(asked) - left


def _askable(triple: str) -> list[str]:
    if not triple.startswith("x86_64"):
        return sorted({*_NEON.split(), "bf16", "i8mm", "sve", "sve2"})
    here = host()
    names = {each[1:] for each in here.features.split(",")} if here.is_x86 else _AVX512.split()
    return sorted(set(names) - set(_SYSTEM.split()))


def _question(name: str, features: list[str]) -> str:
    lines, last = [], "%x"
    body = ["define i32 @all(i32 %x) #0 {"]
    for number, feature in enumerate(features):
        mark = f'"target-cpu"="{name}" "target-features"="+{feature}"'
        lines.append(
            f"define internal i32 @f{number}(i32 %x) {mark} "
            f"{{\n  %y = add i32 %x, {number}\n  ret i32 %y\n}}"
        )
        body.append(f"  %v{number} = call i32 @f{number}(i32 {last})")
        last = f"%v{number}"
    body += [f"  ret i32 {last}", "}", f'attributes #0 = {{ "target-cpu"="{name}" }}']
    return "\n".join([*lines, *body])
