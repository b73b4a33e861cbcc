// The least that a step can take: a kernel that moves the streams of an optimizer, and computes nothing.
//
// The parameter and every state are read and written, the gradient is read. What is written is what was there, behind an
// operation that the compiler cannot see through. Elements are shared among threads as in the generated kernels: every
// thread has the same ones in every step, and helps others when it is done with its own.

#include <cstdint>

namespace {

using Bits = uint32_t;
constexpr int64_t kHeader = 3;
constexpr int64_t kMostThreads = 256;

struct alignas(64) Share {
    int64_t next, end;  // chunks
};

struct Launch {
    const int64_t* tensors;
    const int32_t* chunks;
    int64_t chunk, streams;
    Bits zero;  // 0, but only the caller knows
    int64_t threads;
    int (*thread_number)();
    Share shares[kMostThreads];
};

void move(const int64_t* tensor, int64_t first, int64_t count, const Launch& launch) {
    const Bits zero = launch.zero;
    const Bits* __restrict grad = reinterpret_cast<const Bits*>(tensor[kHeader + 1]) + first;
    auto at = [&](int64_t stream) { return reinterpret_cast<Bits*>(tensor[kHeader + stream]) + first; };
    Bits* __restrict param = at(0);
    const int64_t states = launch.streams - 2;
    Bits* __restrict a = states > 0 ? at(2) : nullptr;
    Bits* __restrict b = states > 1 ? at(3) : nullptr;
    Bits* __restrict c = states > 2 ? at(4) : nullptr;
    Bits* __restrict d = states > 3 ? at(5) : nullptr;
    switch (states) {
#define LOOP(BODY)                                                       \
    _Pragma("GCC ivdep") for (int64_t i = 0; i < count; ++i) {           \
        const Bits none = grad[i] & zero;                                \
        param[i] ^= none;                                                \
        BODY                                                             \
    }                                                                    \
    break;
        case 0: LOOP()
        case 1: LOOP(a[i] ^= none;)
        case 2: LOOP(a[i] ^= none; b[i] ^= none;)
        case 3: LOOP(a[i] ^= none; b[i] ^= none; c[i] ^= none;)
        default: LOOP(a[i] ^= none; b[i] ^= none; c[i] ^= none; d[i] ^= none;)
    }
}

void take(const Launch& launch, Share& share) {
    for (;;) {
        const int64_t number = __atomic_fetch_add(&share.next, 1, __ATOMIC_RELAXED);
        if (number >= share.end) return;
        const int64_t* tensor = launch.tensors + (kHeader + launch.streams) * launch.chunks[2 * number];
        const int64_t first = launch.chunk * launch.chunks[2 * number + 1];
        const int64_t left = tensor[0] - first;
        move(tensor, first, left < launch.chunk ? left : launch.chunk, launch);
    }
}

void work(void* data) {
    Launch& launch = *static_cast<Launch*>(data);
    const int64_t first = launch.thread_number();
    for (int64_t i = 0; i < launch.threads; ++i) take(launch, launch.shares[(first + i) % launch.threads]);
}

}  // namespace

// `bounds` has threads + 1 entries: the first chunk of each thread, and the number of chunks.
extern "C" void floor_move(const int64_t* tensors, const int32_t* chunks, const int64_t* bounds, int64_t chunk,
                           int64_t streams, uint32_t zero, int64_t threads, void* parallel, void* thread_number) {
    Launch launch{tensors, chunks, chunk, streams, zero, threads, reinterpret_cast<int (*)()>(thread_number), {}};
    for (int64_t i = 0; i < threads; ++i) launch.shares[i] = {bounds[i], bounds[i + 1]};
    using Parallel = void (*)(void (*)(void*), void*, unsigned, unsigned);
    if (threads > 1)
        reinterpret_cast<Parallel>(parallel)(&work, &launch, unsigned(threads), 0);
    else
        take(launch, launch.shares[0]);
}
