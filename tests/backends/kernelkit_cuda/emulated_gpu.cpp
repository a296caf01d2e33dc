// A GPU on the host, for the words of CUDA C that kernelkit prints.
//
// The threads of a block are coroutines that run one at a time, each until it waits for others.
// Included by every program; the part behind EMULATED_RUNTIME is compiled once.
#include <math.h>
#include <stdint.h>
#include <string.h>
#include <utility>

#define __device__
#define __global__
#define __constant__
#define __shared__ static
#define __forceinline__ inline
#define __launch_bounds__(threads)
#define __builtin_assume(condition) do { if (!(condition)) __builtin_trap(); } while (0)

struct Place { unsigned x, y, z; };

extern "C" {
extern Place threadIdx, blockIdx, blockDim, gridDim;
extern unsigned char* emulated_dynamic;
void emulated_yield();
void emulated_barrier(int vote, int* count, int* live);
unsigned emulated_exchange(int kind, unsigned mask, uint64_t value, uint64_t* values);
unsigned emulated_active();
}

template <class... A, size_t... I>
void emulated_apply(void (*kernel)(A...), void** given, std::index_sequence<I...>) {
    kernel(*(A*)given[I]...);
}
template <class... A> void emulated_call(void (*kernel)(A...), void** given) {
    emulated_apply(kernel, given, std::index_sequence_for<A...>());
}

// ---------------------------------------------------------------- barriers, fences, warps
inline int __syncthreads_count(int p) { int n, live; emulated_barrier(p != 0, &n, &live); return n; }
inline int __syncthreads_or(int p) { return __syncthreads_count(p) != 0; }
inline int __syncthreads_and(int p) { int n, live; emulated_barrier(p != 0, &n, &live); return n == live; }
inline void __syncthreads() { __syncthreads_count(0); }
inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}
inline unsigned __activemask() { return emulated_active(); }
inline void __syncwarp(unsigned mask) { uint64_t v[32]; emulated_exchange(0, mask, 0, v); }

inline unsigned emulated_lane() {
    return ((threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x) % 32;
}
template <class T> T emulated_shuffle(int kind, unsigned mask, T value, int from) {
    uint64_t v[32];
    unsigned who = emulated_exchange(kind, mask, (uint64_t)value, v);
    return 0 <= from && from < 32 && (who >> from & 1) ? (T)v[from] : value;
}
template <class T> T __shfl_sync(unsigned mask, T value, int lane) { return emulated_shuffle(1, mask, value, lane & 31); }
template <class T> T __shfl_up_sync(unsigned mask, T value, unsigned d) { return emulated_shuffle(2, mask, value, (int)emulated_lane() - (int)d); }
template <class T> T __shfl_down_sync(unsigned mask, T value, unsigned d) { return emulated_shuffle(3, mask, value, (int)(emulated_lane() + d)); }
template <class T> T __shfl_xor_sync(unsigned mask, T value, int d) { return emulated_shuffle(4, mask, value, (int)emulated_lane() ^ d); }
inline unsigned emulated_vote(int kind, unsigned mask, int p, unsigned* who) {
    uint64_t v[32];
    unsigned votes = 0;
    *who = emulated_exchange(kind, mask, p != 0, v);
    for (int i = 0; i < 32; i++) if ((*who >> i & 1) && v[i]) votes |= 1u << i;
    return votes;
}
inline unsigned __ballot_sync(unsigned mask, int p) { unsigned who; return emulated_vote(5, mask, p, &who); }
inline int __any_sync(unsigned mask, int p) { unsigned who; return emulated_vote(6, mask, p, &who) != 0; }
inline int __all_sync(unsigned mask, int p) { unsigned who; return emulated_vote(7, mask, p, &who) == who; }
template <class T> unsigned __match_any_sync(unsigned mask, T value) {
    uint64_t v[32];
    unsigned who = emulated_exchange(8, mask, (uint64_t)value, v), same = 0;
    for (int i = 0; i < 32; i++) if ((who >> i & 1) && v[i] == (uint64_t)value) same |= 1u << i;
    return same;
}
template <class T> unsigned __match_all_sync(unsigned mask, T value, int* all) {
    uint64_t v[32];
    unsigned who = emulated_exchange(9, mask, (uint64_t)value, v);
    *all = 1;
    for (int i = 0; i < 32; i++) if ((who >> i & 1) && v[i] != (uint64_t)value) *all = 0;
    return *all ? who : 0;
}

// ---------------------------------------------------------------- atomics
#define EMULATED_ATOMIC(name, after, wait) \
    template <class T> T name(T* p, T v) { wait; T old = *p; *p = after; return old; }
EMULATED_ATOMIC(atomicAdd, old + v, )
EMULATED_ATOMIC(atomicMin, v < old ? v : old, )
EMULATED_ATOMIC(atomicMax, v > old ? v : old, )
EMULATED_ATOMIC(atomicAnd, old & v, )
EMULATED_ATOMIC(atomicOr, old | v, )
EMULATED_ATOMIC(atomicXor, old ^ v, )
EMULATED_ATOMIC(atomicExch, v, emulated_yield())
EMULATED_ATOMIC(atomicInc, old >= v ? 0 : old + 1, )
EMULATED_ATOMIC(atomicDec, old == 0 || old > v ? v : old - 1, )
template <class T> T atomicCAS(T* p, T expected, T desired) {
    emulated_yield();  // whoever spins must let others go on
    T old = *p;
    if (old == expected) *p = desired;
    return old;
}

// ---------------------------------------------------------------- scalars
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dsub_rn(double a, double b) { return a - b; }
inline double __dmul_rn(double a, double b) { return a * b; }
template <class To, class From> To emulated_bits(From x) { To y; memcpy(&y, &x, sizeof y); return y; }
inline unsigned __float_as_uint(float x) { return emulated_bits<unsigned>(x); }
inline float __uint_as_float(unsigned x) { return emulated_bits<float>(x); }
inline long long __double_as_longlong(double x) { return emulated_bits<long long>(x); }
inline double __longlong_as_double(long long x) { return emulated_bits<double>(x); }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __clz(int x) { return x ? __builtin_clz((unsigned)x) : 32; }
inline int __clzll(long long x) { return x ? __builtin_clzll((unsigned long long)x) : 64; }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline unsigned __brev(unsigned x) { unsigned r = 0; for (int i = 0; i < 32; i++) r |= (x >> i & 1u) << (31 - i); return r; }
inline unsigned long long __brevll(unsigned long long x) { unsigned long long r = 0; for (int i = 0; i < 64; i++) r |= (x >> i & 1ull) << (63 - i); return r; }
// They saturate.
#define EMULATED_CAST(name, real, whole, least, most) \
    inline whole name(real x) { return x >= (real)most ? most : x <= (real)least ? least : (whole)x; }
EMULATED_CAST(__float2int_rz, float, int, INT32_MIN, INT32_MAX)
EMULATED_CAST(__double2int_rz, double, int, INT32_MIN, INT32_MAX)
EMULATED_CAST(__float2uint_rz, float, unsigned, 0u, UINT32_MAX)
EMULATED_CAST(__double2uint_rz, double, unsigned, 0u, UINT32_MAX)
EMULATED_CAST(__float2ll_rz, float, long long, INT64_MIN, INT64_MAX)
EMULATED_CAST(__double2ll_rz, double, long long, INT64_MIN, INT64_MAX)
EMULATED_CAST(__float2ull_rz, float, unsigned long long, 0ull, UINT64_MAX)
EMULATED_CAST(__double2ull_rz, double, unsigned long long, 0ull, UINT64_MAX)
inline float rsqrtf(float x) { return (float)(1.0 / sqrt((double)x)); }
inline double rsqrt(double x) { return 1.0 / sqrt(x); }
template <class T> unsigned short emulated_to_half(T x) { return emulated_bits<unsigned short>((_Float16)x); }
inline float emulated_from_half(unsigned short x) { return (float)emulated_bits<_Float16>(x); }

#ifdef EMULATED_RUNTIME
// ---------------------------------------------------------------- the threads of a block
#include <sys/mman.h>
#include <ucontext.h>
#include <vector>

Place threadIdx, blockIdx, blockDim, gridDim;
unsigned char* emulated_dynamic;

enum State { READY, BARRIER, WARP, ACTIVE, DONE };
struct Thread {
    ucontext_t context;
    State state;
    Place place;
    int vote, count, live, kind;
    unsigned mask, who;
    uint64_t value, values[32];
};
static std::vector<Thread> threads;
static std::vector<void*> stacks;
static Thread* current;
static ucontext_t scheduler;
static void (*body)(void**);
static void** given;
static const size_t STACK = 256 << 10;

static void wait_as(State state) {
    Thread* me = current;
    me->state = state;
    swapcontext(&me->context, &scheduler);
}
static void start() { body(given); wait_as(DONE); }

extern "C" void emulated_yield() { wait_as(READY); }
extern "C" void emulated_barrier(int vote, int* count, int* live) {
    current->vote = vote;
    wait_as(BARRIER);
    *count = current->count, *live = current->live;
}
extern "C" unsigned emulated_exchange(int kind, unsigned mask, uint64_t value, uint64_t* values) {
    current->kind = kind, current->mask = mask, current->value = value;
    wait_as(WARP);
    memcpy(values, current->values, sizeof current->values);
    return current->who;
}
extern "C" unsigned emulated_active() { wait_as(ACTIVE); return current->who; }

// Lets go who waits for nobody any more.
static bool release_warps() {
    bool any = false;
    for (size_t first = 0; first < threads.size(); first += 32) {
        size_t count = threads.size() - first < 32 ? threads.size() - first : 32;
        Thread* lanes = &threads[first];
        for (size_t lane = 0; lane < count; lane++) {
            if (lanes[lane].state != WARP) continue;
            unsigned mask = lanes[lane].mask, who = 0;
            bool all = true;
            for (size_t i = 0; i < count; i++) {
                if (!(mask >> i & 1) || lanes[i].state == DONE) continue;
                all &= lanes[i].state == WARP && lanes[i].mask == mask && lanes[i].kind == lanes[lane].kind;
                who |= 1u << i;
            }
            if (!all || !(who >> lane & 1)) continue;
            for (size_t i = 0; i < count; i++) {
                if (!(who >> i & 1)) continue;
                lanes[i].who = who, lanes[i].state = READY, any = true;
                for (size_t j = 0; j < count; j++) lanes[i].values[j] = lanes[j].value;
            }
        }
    }
    return any;
}
static bool release_barrier() {
    int live = 0, votes = 0;
    for (Thread& t : threads) {
        if (t.state == DONE) continue;
        if (t.state != BARRIER) return false;
        live++, votes += t.vote;
    }
    for (Thread& t : threads) if (t.state == BARRIER) t.state = READY, t.count = votes, t.live = live;
    return live != 0;
}
static bool release_active() {
    bool any = false;
    for (size_t first = 0; first < threads.size(); first += 32) {
        unsigned who = 0;
        size_t last = first + 32 < threads.size() ? first + 32 : threads.size();
        for (size_t i = first; i < last; i++) if (threads[i].state == ACTIVE) who |= 1u << (i - first);
        for (size_t i = first; i < last; i++)
            if (threads[i].state == ACTIVE) threads[i].state = READY, threads[i].who = who, any = true;
    }
    return any;
}
static bool run_block() {
    for (size_t i = 0; i < threads.size(); i++) {
        unsigned number = (unsigned)i;
        threads[i].place = {number % blockDim.x, number / blockDim.x % blockDim.y, number / blockDim.x / blockDim.y};
        threads[i].state = READY;
        getcontext(&threads[i].context);
        threads[i].context.uc_stack.ss_sp = stacks[i];
        threads[i].context.uc_stack.ss_size = STACK;
        makecontext(&threads[i].context, start, 0);
    }
    for (;;) {
        bool ran = false, live = false;
        for (Thread& t : threads) {
            live |= t.state != DONE;
            if (t.state != READY) continue;
            ran = true, current = &t, threadIdx = t.place;
            swapcontext(&scheduler, &t.context);
        }
        if (!live) return true;
        if (release_warps() || ran || release_barrier() || release_active()) continue;
        return false;  // they wait for one another for ever
    }
}

// 0, or 1 where threads waited for one another for ever.
extern "C" int emulated_launch(void (*kernel)(void**), void** arguments, const unsigned* dims, unsigned shared) {
    gridDim = {dims[0], dims[1], dims[2]}, blockDim = {dims[3], dims[4], dims[5]};
    body = kernel, given = arguments;
    threads.resize(blockDim.x * blockDim.y * blockDim.z);
    while (stacks.size() < threads.size())
        stacks.push_back(mmap(0, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    std::vector<uint64_t> dynamic(shared / 8 + 2, 0xC5C5C5C5C5C5C5C5);
    emulated_dynamic = (unsigned char*)(((uintptr_t)dynamic.data() + 15) & ~(uintptr_t)15);
    for (blockIdx.z = 0; blockIdx.z < gridDim.z; blockIdx.z++)
        for (blockIdx.y = 0; blockIdx.y < gridDim.y; blockIdx.y++)
            for (blockIdx.x = 0; blockIdx.x < gridDim.x; blockIdx.x++)
                if (!run_block()) return 1;
    return 0;
}
#endif
