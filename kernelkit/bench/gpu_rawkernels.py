"""The same algorithms written by hand, in CUDA C.

In: contiguous arrays, then their extents as int. Out: what the kernel of the same name in
`cpu_kernels` and `gpu_kernels` gives, launched on the same grid and block.
Holds: one translation unit for each kernel; this is the text that we are measured against, so it
is as good as we know how to write these algorithms: 32-bit indices, `const` and `__restrict__`
wherever that is true, loops of constant length unrolled, launch bounds.
"""

from __future__ import annotations

CORRELATE = """
#define RADIUS 2
#define SIDE (2 * RADIUS + 1)

extern "C" __global__ void __launch_bounds__(256)
correlate(const float* __restrict__ src, float* __restrict__ dst,
          const float* __restrict__ weights, int height, int width)
{
    const int x = blockIdx.x * blockDim.x + threadIdx.x;
    const int y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height) return;
    float total = 0.0f;
    #pragma unroll
    for (int j = -RADIUS; j <= RADIUS; ++j) {
        const int yy = min(max(y + j, 0), height - 1);
        #pragma unroll
        for (int i = -RADIUS; i <= RADIUS; ++i) {
            const int xx = min(max(x + i, 0), width - 1);
            total += weights[(j + RADIUS) * SIDE + i + RADIUS] * src[yy * width + xx];
        }
    }
    dst[y * width + x] = total;
}
"""

CORRELATE_TILED = """
#define RADIUS 2
#define SIDE (2 * RADIUS + 1)
#define TILE_X 32
#define TILE_Y 16
#define LOADED_X (TILE_X + 2 * RADIUS)
#define LOADED_Y (TILE_Y + 2 * RADIUS)

extern "C" __global__ void __launch_bounds__(TILE_X * TILE_Y)
correlate_tiled(const float* __restrict__ src, float* __restrict__ dst,
                const float* __restrict__ weights, int height, int width)
{
    __shared__ float tile[LOADED_Y][LOADED_X];
    const int tx = threadIdx.x, ty = threadIdx.y;
    const int left = blockIdx.x * TILE_X, top = blockIdx.y * TILE_Y;
    for (int j = ty; j < LOADED_Y; j += TILE_Y) {
        const int yy = min(max(top + j - RADIUS, 0), height - 1);
        for (int i = tx; i < LOADED_X; i += TILE_X) {
            const int xx = min(max(left + i - RADIUS, 0), width - 1);
            tile[j][i] = src[yy * width + xx];
        }
    }
    __syncthreads();

    const int x = left + tx, y = top + ty;
    if (x >= width || y >= height) return;
    float total = 0.0f;
    #pragma unroll
    for (int j = 0; j < SIDE; ++j) {
        #pragma unroll
        for (int i = 0; i < SIDE; ++i)
            total += weights[j * SIDE + i] * tile[ty + j][tx + i];
    }
    dst[y * width + x] = total;
}
"""

SAXPY = """
extern "C" __global__ void __launch_bounds__(256)
saxpy(float a, const float* __restrict__ x, float* __restrict__ y, int size)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < size) y[i] += a * x[i];
}
"""

TRANSPOSE = """
#define TILE 32
#define ROWS 8

extern "C" __global__ void __launch_bounds__(TILE * ROWS)
transpose(const float* __restrict__ src, float* __restrict__ dst, int height, int width)
{
    __shared__ float tile[TILE][TILE + 1];
    const int tx = threadIdx.x, ty = threadIdx.y;
    const int left = blockIdx.x * TILE, top = blockIdx.y * TILE;
    #pragma unroll
    for (int j = 0; j < TILE; j += ROWS)
        if (top + ty + j < height && left + tx < width)
            tile[ty + j][tx] = src[(top + ty + j) * width + left + tx];
    __syncthreads();
    #pragma unroll
    for (int j = 0; j < TILE; j += ROWS)
        if (left + ty + j < width && top + tx < height)
            dst[(left + ty + j) * height + top + tx] = tile[tx][ty + j];
}
"""

TOTAL = """
#define WARPS 8

__device__ __forceinline__ float warp_sum(float value)
{
    #pragma unroll
    for (int distance = 16; distance > 0; distance /= 2)
        value += __shfl_down_sync(0xffffffffu, value, distance);
    return value;
}

extern "C" __global__ void __launch_bounds__(32 * WARPS)
total(const float* __restrict__ values, float* __restrict__ result, int size)
{
    __shared__ float partial[WARPS];
    const int step = gridDim.x * blockDim.x;
    float mine = 0.0f;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < size; i += step)
        mine += values[i];
    mine = warp_sum(mine);
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    if (lane == 0) partial[warp] = mine;
    __syncthreads();
    if (warp == 0) {
        mine = lane < WARPS ? partial[lane] : 0.0f;
        mine = warp_sum(mine);
        if (lane == 0) atomicAdd(result, mine);
    }
}
"""

MATMUL = """
#define SIDE 16

extern "C" __global__ void __launch_bounds__(SIDE * SIDE)
matmul(const float* __restrict__ a, const float* __restrict__ b, float* __restrict__ c,
       int rows, int inner, int columns)
{
    __shared__ float tile_a[SIDE][SIDE], tile_b[SIDE][SIDE];
    const int tx = threadIdx.x, ty = threadIdx.y;
    const int column = blockIdx.x * SIDE + tx, row = blockIdx.y * SIDE + ty;
    float total = 0.0f;
    for (int start = 0; start < inner; start += SIDE) {
        tile_a[ty][tx] = row < rows && start + tx < inner ? a[row * inner + start + tx] : 0.0f;
        tile_b[ty][tx] =
            start + ty < inner && column < columns ? b[(start + ty) * columns + column] : 0.0f;
        __syncthreads();
        #pragma unroll
        for (int k = 0; k < SIDE; ++k)
            total += tile_a[ty][k] * tile_b[k][tx];
        __syncthreads();
    }
    if (row < rows && column < columns) c[row * columns + column] = total;
}
"""

HISTOGRAM = """
#define BINS 256

extern "C" __global__ void __launch_bounds__(256)
histogram(const unsigned char* __restrict__ values, int* __restrict__ counts, int size)
{
    __shared__ int mine[BINS];
    for (int bin = threadIdx.x; bin < BINS; bin += blockDim.x) mine[bin] = 0;
    __syncthreads();
    const int step = gridDim.x * blockDim.x;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < size; i += step)
        atomicAdd(&mine[values[i]], 1);
    __syncthreads();
    for (int bin = threadIdx.x; bin < BINS; bin += blockDim.x) atomicAdd(&counts[bin], mine[bin]);
}
"""

MANDELBROT = """
extern "C" __global__ void __launch_bounds__(256)
mandelbrot(int* __restrict__ counts, float left, float top, float step, int limit,
           int height, int width)
{
    const int px = blockIdx.x * blockDim.x + threadIdx.x;
    const int py = blockIdx.y * blockDim.y + threadIdx.y;
    if (px >= width || py >= height) return;
    const float cx = left + px * step, cy = top + py * step;
    float x = 0.0f, y = 0.0f;
    int n = 0;
    while (n < limit && x * x + y * y <= 4.0f) {
        const float next = x * x - y * y + cx;
        y = 2.0f * x * y + cy;
        x = next;
        ++n;
    }
    counts[py * width + px] = n;
}
"""

#: By the function's name.
SOURCES = {
    "correlate": CORRELATE,
    "correlate_tiled": CORRELATE_TILED,
    "saxpy": SAXPY,
    "transpose": TRANSPOSE,
    "total": TOTAL,
    "matmul": MATMUL,
    "histogram": HISTOGRAM,
    "mandelbrot": MANDELBROT,
}
