// Copies pieces of memory into others, on the threads that kernels run on.
//
// Comes in: addresses and sizes in bytes. What is copied is not read again soon: where the processor can, it is written
// past the caches, which saves reading the memory that is overwritten. Must not know what the memory holds.

#include <cstdint>
#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace {

struct Piece {
    void* to;
    const void* from;
    int64_t bytes;
};

struct Work {
    const Piece* pieces;
    int64_t n_pieces, next;
};

void copy(const Piece& piece) {
    char* to = static_cast<char*>(piece.to);
    const char* from = static_cast<const char*>(piece.from);
    int64_t left = piece.bytes;
#if defined(__AVX2__)
    const int64_t before = -reinterpret_cast<intptr_t>(to) & 31;
    if (left >= 4096) {
        std::memcpy(to, from, before);
        to += before, from += before, left -= before;
        for (; left >= 128; to += 128, from += 128, left -= 128)
            for (int i = 0; i < 4; ++i)
                _mm256_stream_si256(reinterpret_cast<__m256i*>(to) + i,
                                    _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from) + i));
        _mm_sfence();
    }
#endif
    std::memcpy(to, from, left);
}

void work(void* data) {
    Work& all = *static_cast<Work*>(data);
    for (;;) {
        const int64_t index = __atomic_fetch_add(&all.next, 1, __ATOMIC_RELAXED);
        if (index >= all.n_pieces) return;
        copy(all.pieces[index]);
    }
}

}  // namespace

// `parallel` is GOMP_parallel, or null: then the calling thread copies all.
extern "C" void thetac_copy(const int64_t* pieces, int64_t n_pieces, int64_t threads, void* parallel) {
    static_assert(sizeof(Piece) == 3 * sizeof(int64_t), "a row of the table");
    Work all{reinterpret_cast<const Piece*>(pieces), n_pieces, 0};
    using Parallel = void (*)(void (*)(void*), void*, unsigned, unsigned);
    if (parallel != nullptr && threads > 1)
        reinterpret_cast<Parallel>(parallel)(&work, &all, static_cast<unsigned>(threads), 0);
    else
        work(&all);
}
