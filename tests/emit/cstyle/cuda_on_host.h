// What a host's C++ compiler needs to take a text in CUDA C that has no warp operations: one thread
// after another runs it. The float16 conversions are those for HIP.
#define __HIP__ 1
#include <climits>
#include <cmath>
#include <cstring>
#define __device__
#define __forceinline__ inline
#define __global__
using namespace std;

struct Coordinate { long long x; };
static Coordinate blockIdx, blockDim = {1}, threadIdx = {0};

template <class To, class From> static To bits(From from) {
    To to;
    memcpy(&to, &from, sizeof to);
    return to;
}
static unsigned __float_as_uint(float x) { return bits<unsigned>(x); }
static float __uint_as_float(unsigned x) { return bits<float>(x); }
static long long __double_as_longlong(double x) { return bits<long long>(x); }
static double __longlong_as_double(long long x) { return bits<double>(x); }

static int __popc(unsigned x) { return __builtin_popcount(x); }
static int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
static int __clz(int x) { return x ? __builtin_clz(x) : 32; }
static int __clzll(long long x) { return x ? __builtin_clzll(x) : 64; }
static int __ffs(int x) { return __builtin_ffs(x); }
static int __ffsll(long long x) { return __builtin_ffsll(x); }
template <class T> static T reversed(T x) {
    T result = 0;
    for (unsigned i = 0; i < 8 * sizeof x; i++, x >>= 1) result = result << 1 | (x & 1);
    return result;
}
static unsigned __brev(unsigned x) { return reversed(x); }
static unsigned long long __brevll(unsigned long long x) { return reversed(x); }

#define EXACT(letter, real) \
    static real __##letter##add_rn(real a, real b) { return a + b; } \
    static real __##letter##sub_rn(real a, real b) { return a - b; } \
    static real __##letter##mul_rn(real a, real b) { return a * b; }
EXACT(f, float)
EXACT(d, double)

// PTX clamps; what it makes of NaN depends on the widths, and may not be relied upon: 99 here.
template <class To, class From> static To clamped(From x, To low, To high) {
    if (x != x) return 99;
    const From beyond = 2 * (From)(high / 2 + 1);
    return x >= beyond ? high : x <= (From)low ? low : (To)x;
}
#define CLAMPED(real) \
    static int __##real##2int_rz(real x) { return clamped(x, INT_MIN, INT_MAX); } \
    static unsigned __##real##2uint_rz(real x) { return clamped(x, 0u, UINT_MAX); } \
    static long long __##real##2ll_rz(real x) { return clamped(x, LLONG_MIN, LLONG_MAX); } \
    static unsigned long long __##real##2ull_rz(real x) { return clamped(x, 0ull, ULLONG_MAX); }
CLAMPED(float)
CLAMPED(double)

static float rsqrtf(float x) { return 1 / sqrt((double)x); }
static double rsqrt(double x) { return 1 / sqrt(x); }
