"""Barriers, fences and warp operations of OpenCL: warps as subgroups of 32, else by local memory.

In: a device's extensions. Out: its table; and for devices without such subgroups, which warp
operations of a kernel they cannot do.
Holds: a barrier orders local and global memory. By local memory an operation is a few barriers, so
all threads of the block come to it, those that have returned with a mask of 0. Subgroups are warps
where the block is launched as one row.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from kernelkit.analysis.pipeline import Analysis
from kernelkit.emit.cstyle.warps import WarpTable
from kernelkit.errors import Diagnostic
from kernelkit.ir.nodes import Warp, walk

#: What it takes that a subgroup is a warp.
SUBGROUPS: Final = (
    "cl_khr_subgroup_ballot",
    "cl_khr_subgroup_shuffle",
    "cl_intel_required_subgroup_size",
)
_FENCES: Final = "CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE"

# ---------------------------------------------------------------- barriers that count
#: Three counters in turn: one counts, one may still be read, one becomes 0.
_COUNT: Final = f"""
static inline u32 kk_barrier_votes(
    volatile __local u32* votes, u32* turn, u32 thread, bool p, bool exact)
{{
    u32 now = *turn, next = now == 2u ? 0u : now + 1u;
    if (p) {{
        if (exact) atomic_inc(votes + now);
        else votes[now] = 1u;
    }}
    if (thread == 0u) votes[next] = 0u;
    *turn = next;
    barrier({_FENCES});
    return votes[now];
}}
"""
_VOTES: Final = """
__local u32 kk_votes[3];
u32 kk_turn = 0u;
if (kk_thread == 0u) kk_votes[0] = 0u;
barrier(CLK_LOCAL_MEM_FENCE);
"""


def _votes(p: str, exact: str = "false") -> str:
    return f"kk_barrier_votes(kk_votes, &kk_turn, kk_thread, {p}, {exact})"


_BARRIERS: Final = {
    "sync": f"barrier({_FENCES})",
    "count": f"((i32){_votes('{p}', exact='true')})",
    "and": f"({_votes('!{p}')} == 0u)",
    "or": f"({_votes('{p}')} != 0u)",
}
#: The strongest that OpenCL 1.2 has; other groups see the writes in their order on what it runs on.
_SCOPES: Final = dict.fromkeys(("block", "device", "system"), f"mem_fence({_FENCES});")

# ---------------------------------------------------------------- warps by local memory
#: Behind the first barrier all have read what was given before.
_EXCHANGE: Final = """
static inline void kk_lanes_exchange(volatile __local u64* words, u32 thread, u64 word)
{
    barrier(CLK_LOCAL_MEM_FENCE);
    words[thread] = word;
    barrier(CLK_LOCAL_MEM_FENCE);
}
"""
_BALLOT: Final = """
static inline u32 kk_lanes_ballot(volatile __local u64* words, u32 thread, u32 mask, bool p)
{
    u32 lanes = 0u, first = thread & ~31u;
    kk_lanes_exchange(words, thread, p && (mask >> (thread & 31u) & 1u));
    for (u32 lane = 0u; lane < 32u; ++lane) lanes |= (u32)words[first + lane] << lane;
    return lanes & mask;
}
"""
_GIVEN: Final = """
static inline u64 kk_lanes_given(volatile __local u64* words, u32 thread, u64 value, u32 source)
{
    kk_lanes_exchange(words, thread, value);
    return words[(thread & ~31u) | (source & 31u)];
}
"""
_SAME: Final = """
static inline u32 kk_lanes_same(volatile __local u64* words, u32 thread, u64 value)
{
    u32 lanes = 0u, first = thread & ~31u;
    kk_lanes_exchange(words, thread, value);
    for (u32 lane = 0u; lane < 32u; ++lane) lanes |= (u32)(words[first + lane] == value) << lane;
    return lanes;
}
"""
#: Those of lanes that are not there stay 0, so that they vote for nothing.
_WORDS: Final = """
__local u64 kk_words[{whole}];
if (kk_thread == 0u) for (u32 kk_n = {threads}; kk_n < {whole}; ++kk_n) kk_words[kk_n] = 0u;
"""
_BALLOT_CALL: Final = "kk_lanes_ballot(kk_words, kk_thread, {mask}, {p})"
_PRESENT: Final = _BALLOT_CALL.replace("{p}", "true")

# ---------------------------------------------------------------- warps as subgroups
_MATCH: Final = """
static inline u32 kk_lanes_match(u32 mask, u64 value)
{
    u32 lanes = 0u;
    for (u32 lane = 0u; lane < 32u; ++lane)
        lanes |= (u32)(sub_group_shuffle(value, lane) == value) << lane;
    return lanes & mask & sub_group_ballot(1).x;
}
"""


def has_subgroups(extensions: Collection[str], sizes: Collection[int]) -> bool:
    """Whether a device with these extensions and sizes of subgroups has warps of its own."""
    return 32 in sizes and all(name in extensions for name in SUBGROUPS)


def warps(subgroups: bool) -> WarpTable:
    """The table for a device that has warps of its own, or does it by local memory."""
    if subgroups:
        return _table(
            attributes="__attribute__((intel_reqd_sub_group_size(32)))",
            enable="\n".join(f"#pragma OPENCL EXTENSION {name} : enable" for name in SUBGROUPS[:2]),
            functions={"kk_lanes_match": _MATCH},
            scratch={},
            ballot="({mask} & sub_group_ballot({p}).x)",
            given=dict.fromkeys((32, 64), "sub_group_shuffle({value}, {source} & 31u)"),
            match="kk_lanes_match({mask}, {value})",
            # Not all lanes need come, as they must to sub_group_barrier.
            sync=f"sub_group_ballot(1); mem_fence({_FENCES});",
            active="sub_group_ballot(1).x",
        )
    given = "kk_lanes_given(kk_words, kk_thread, {value}, {source})"
    return _table(
        attributes="",
        enable="",
        functions={
            "kk_lanes_exchange": _EXCHANGE,
            "kk_lanes_ballot": _BALLOT,
            "kk_lanes_given": _GIVEN,
            "kk_lanes_same": _SAME,
        },
        scratch={"kk_words": _WORDS},
        ballot=_BALLOT_CALL,
        given={32: f"((u32){given})", 64: given},
        match=f"(kk_lanes_same(kk_words, kk_thread, {{value}}) & {_PRESENT})",
        sync=f"barrier({_FENCES});",
        # Where all come together, leaving.py asks for a ballot.
        active="(1u << kk_lane)",
        by_block=True,
    )


def _table(
    attributes: str, enable: str, functions: dict[str, str], scratch: dict[str, str], ballot: str,
    given: dict[int, str], match: str, sync: str, active: str, by_block: bool = False,
) -> WarpTable:  # fmt: skip
    """With what both kinds of device have in common."""
    return WarpTable(
        attributes=attributes,
        enable=enable,
        functions={**functions, "kk_barrier_votes": _COUNT},
        scratch={**scratch, "kk_votes": _VOTES},
        ballot=ballot,
        given=given,
        match=match,
        sync=sync,
        active=active,
        native={},
        barriers=_BARRIERS,
        fences=_SCOPES,
        to_bits={"f32": "as_uint({value})", "f64": "as_ulong({value})"},
        from_bits={"f32": "as_float({value})", "f64": "as_double({value})"},
        by_block=by_block,
    )


# ---------------------------------------------------------------- what local memory cannot do
def divergent_warps(analysis: Analysis) -> Iterator[Diagnostic]:
    """What is wrong with a kernel on a device whose warps work by local memory."""
    seen = set()
    for stmt in walk(analysis.kernel.body):
        if not isinstance(stmt, Warp) or stmt.op == "activemask" or stmt.span in seen:
            continue
        seen.add(stmt.span)  # a loop over a tuple writes its body once for each item
        causes = analysis.variability.causes[stmt]
        if causes:
            notes = dict.fromkeys(
                (cause.stmt.span, "here threads of one block part ways") for cause in causes[::-1]
            )
            yield Diagnostic(
                stmt.span,
                f"`{_name(stmt.op)}` in divergent control flow needs a device with subgroups of 32; "
                "let all threads of the block come to it, with the work around it under the `if`",
                tuple(notes),
            )


def _name(op: str) -> str:
    return "syncwarp" if op == "sync" else f"{op}_sync"
