// The least that a step can take: a kernel that moves the streams of an optimizer, and computes nothing.
//
// In each pass some streams are read, and some written. What is written is what was there, behind an operation that the
// compiler cannot see through. Elements are shared among threads as in the generated kernels: every thread has the same
// ones in every step, and helps others when it is done with its own.

#include <array>
#include <cstdint>
#include <utility>

namespace {

using Bits = uint32_t;
constexpr int64_t kHeader = 3;
constexpr int64_t kMostThreads = 256;
constexpr int kMostStreams = 6;

struct alignas(64) Share {
    int64_t next, end;  // chunks
    Bits sink;          // of what is read and written nowhere
};

struct Launch {
    const int64_t* tensors;
    const int32_t* chunks;
    int64_t chunk, written, read;
    Bits zero;  // 0, but only the caller knows
    int64_t threads;
    int (*thread_number)();
    Share shares[kMostThreads];
};

// Moves some elements of `written` and `read` streams, whose addresses follow the header in that order.
template <int written, int read>
void move(const int64_t* tensor, int64_t first, int64_t count, Bits zero, Bits& sink) {
    Bits* to[written + 1];
    const Bits* from[read + 1];
    for (int s = 0; s < written; ++s) to[s] = reinterpret_cast<Bits*>(tensor[kHeader + s]) + first;
    for (int s = 0; s < read; ++s) from[s] = reinterpret_cast<const Bits*>(tensor[kHeader + written + s]) + first;
    Bits seen = 0;
    _Pragma("GCC ivdep") for (int64_t i = 0; i < count; ++i) {
        Bits none = read > 0 ? 0 : zero;
        for (int s = 0; s < read; ++s) none |= from[s][i] & zero;
        for (int s = 0; s < written; ++s) to[s][i] ^= none;
        if (written == 0) seen |= none;
    }
    sink |= seen;
}

using Move = void (*)(const int64_t*, int64_t, int64_t, Bits, Bits&);

template <int written, int... read>
constexpr auto row(std::integer_sequence<int, read...>) {
    return std::array<Move, sizeof...(read)>{&move<written, read>...};
}

template <int... written>
constexpr auto rows(std::integer_sequence<int, written...>) {
    using Counts = std::make_integer_sequence<int, kMostStreams + 1>;
    return std::array{row<written>(Counts{})...};
}

constexpr auto kMoves = rows(std::make_integer_sequence<int, kMostStreams + 1>{});

void take(const Launch& launch, Share& share) {
    for (;;) {
        const int64_t number = __atomic_fetch_add(&share.next, 1, __ATOMIC_RELAXED);
        if (number >= share.end) return;
        const int64_t columns = kHeader + launch.written + launch.read;
        const int64_t* tensor = launch.tensors + columns * launch.chunks[2 * number];
        const int64_t first = launch.chunk * launch.chunks[2 * number + 1];
        const int64_t left = tensor[0] - first;
        const Move function = kMoves[launch.written][launch.read];
        function(tensor, first, left < launch.chunk ? left : launch.chunk, launch.zero, share.sink);
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
                           int64_t written, int64_t read, uint32_t zero, int64_t threads, void* parallel, void* thread_number) {
    Launch launch{tensors, chunks, chunk, written, read, zero, threads, reinterpret_cast<int (*)()>(thread_number), {}};
    for (int64_t i = 0; i < threads; ++i) launch.shares[i] = {bounds[i], bounds[i + 1], 0};
    using Parallel = void (*)(void (*)(void*), void*, unsigned, unsigned);
    if (threads > 1)
        reinterpret_cast<Parallel>(parallel)(&work, &launch, unsigned(threads), 0);
    else
        take(launch, launch.shares[0]);
}
