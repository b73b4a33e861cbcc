// Threads, and the assignment of chunks to them.
//
// Comes in: a launch. Comes out: calls of a function on several threads, and shares of its chunks. Must not know what is
// computed: results do not depend on the number of threads, nor on which thread processes a chunk.
#pragma once

#include "launch.h"

namespace thetac {
namespace {

constexpr int64 PER_THREAD = 16384;  // elements that make starting another thread worthwhile
constexpr int64 MOST_THREADS = 256;

// Calls `function(argument)` on each of `threads` threads of the process's OpenMP runtime; returns when all are done.
inline void run_on_threads(const ThetacLaunch& launch, int64 threads, void (*function)(void*), void* argument) {
    using Parallel = void (*)(void (*)(void*), void*, unsigned, unsigned);
    if (threads > 1)
        reinterpret_cast<Parallel>(launch.parallel)(function, argument, unsigned(threads), 0);
    else
        function(argument);
}

// Successive chunks. Threads take them one by one; no two get the same.
struct alignas(64) Share {
    int64 next, end, first;

    // Returns the index of a chunk that no other thread has taken, or -1 if none is left.
    int64 take() {
        const int64 chunk = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED);
        return chunk < end ? chunk : -1;
    }
};

// A share of the chunks for each thread: the same elements in every step, so that they stay in its caches, and about as
// many as the others have. A thread that is done with its own share helps with the others.
class Shares {
public:
    // `chunks` has a size, and for each index something that has a `count` of elements.
    template <class Chunks>
    Shares(const ThetacLaunch& launch, const Chunks& chunks) : launch_(launch), threads_(share_out(chunks)) {}

    int64 threads() const { return threads_; }

    // Hands out all chunks once more.
    void restart() {
        for (int64 i = 0; i < threads_; ++i) shares_[i].next = shares_[i].first;
    }

    // Calls `work(share)` for every share, first for that of the calling thread.
    template <class Work>
    void for_each(const Work& work) {
        const int64 first = threads_ > 1 ? reinterpret_cast<int (*)()>(launch_.thread_number)() : 0;
        for (int64 i = 0; i < threads_; ++i) work(shares_[(first + i) % threads_]);
    }

private:
    template <class Chunks>
    int64 share_out(const Chunks& chunks) {
        int64 elements = 0;
        for (int64 chunk = 0; chunk < chunks.size(); ++chunk) elements += chunks[chunk].count;
        int64 threads = launch_.parallel == nullptr ? 1 : (elements + PER_THREAD - 1) / PER_THREAD;
        if (threads > launch_.threads) threads = launch_.threads;
        if (threads > MOST_THREADS) threads = MOST_THREADS;
        if (threads < 1) threads = 1;
        int64 chunk = 0, before = 0;
        for (int64 thread = 0; thread < threads; ++thread) {
            shares_[thread].next = shares_[thread].first = chunk;
            for (; chunk < chunks.size() && before * threads < (thread + 1) * elements; ++chunk)
                before += chunks[chunk].count;
            shares_[thread].end = chunk;
        }
        return threads;
    }

    const ThetacLaunch& launch_;
    Share shares_[MOST_THREADS];
    const int64 threads_;
};

}  // namespace
}  // namespace thetac
