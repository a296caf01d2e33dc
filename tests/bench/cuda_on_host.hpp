// As much of CUDA C as the kernels by hand use, on the host: a thread for each thread of a block,
// blocks one after another.
#include <algorithm>
#include <atomic>
#include <barrier>
#include <memory>
#include <thread>
#include <vector>

#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(threads)
#define __shared__ static  // one block at a time

struct Place { int x, y, z; };
static thread_local Place threadIdx, blockIdx;
static Place blockDim, gridDim;
static std::unique_ptr<std::barrier<>> block_barrier;
static std::vector<std::unique_ptr<std::barrier<>>> warp_barriers;
static float exchanged[1024];

using std::max;
using std::min;

static int thread_number() { return threadIdx.y * blockDim.x + threadIdx.x; }
static void __syncthreads() { block_barrier->arrive_and_wait(); }

static float __shfl_down_sync(unsigned, float value, int distance) {
    const int me = thread_number(), lane = me % 32;
    auto& warp = *warp_barriers[me / 32];
    exchanged[me] = value;
    warp.arrive_and_wait();
    const float found = lane + distance < 32 ? exchanged[me + distance] : value;
    warp.arrive_and_wait();
    return found;
}

template <class T> static T atomicAdd(T* place, T value) {
    return std::atomic_ref<T>(*place).fetch_add(value);
}

template <class Kernel> static void launch(Place grid, Place block, Kernel kernel) {
    const int threads = block.x * block.y;
    gridDim = grid, blockDim = block;
    block_barrier = std::make_unique<std::barrier<>>(threads);
    warp_barriers.clear();
    for (int warp = 0; warp < (threads + 31) / 32; ++warp)
        warp_barriers.push_back(std::make_unique<std::barrier<>>(std::min(32, threads - 32 * warp)));
    std::vector<std::thread> all;
    for (int thread = 0; thread < threads; ++thread)
        all.emplace_back([=] {
            threadIdx = {thread % block.x, thread / block.x, 0};
            for (int y = 0; y < grid.y; ++y)
                for (int x = 0; x < grid.x; ++x) {
                    blockIdx = {x, y, 0};
                    kernel();
                    block_barrier->arrive_and_wait();
                }
        });
    for (auto& thread : all) thread.join();
}
