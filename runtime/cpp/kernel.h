// What generated C++ kernels include: the interface to the runtime, and the loop over chunks that calls them.
// docs/cpp.md says why it is as it is.
//
// Must not know any algorithm. No header of the standard library: one takes longer to compile than most kernels do.
#pragma once

#include "dtypes.h"
#include "elements.h"
#include "float_mode.h"

// The interface. Every field has 8 bytes; docs/architecture.md has the layout of the tables.
struct ThetacLaunch {
    const __INT64_TYPE__* tensors;  // [n][3 + streams]: elements, row, all addresses on 16 bytes, one address per stream
    const __INT32_TYPE__* chunks;   // [n_chunks][2]: index of the tensor, number of the chunk within it
    __INT64_TYPE__ n_chunks;
    const void* rows;                 // [rows][entries]: float, or double for float64 parameters
    __UINT64_TYPE__ specialisations;  // bit i: the i-th specialisation holds
    double grad_scale;                // the gradient is divided by it first; 1: it is not
    double clip;                      // and then multiplied by it; 1: it is not
    __INT64_TYPE__ write_back;        // whether the quotient (not the product) is stored in the gradient
    __INT64_TYPE__ threads;           // at most so many
    void* parallel;  // GOMP_parallel of the process's OpenMP runtime; null: everything on the caller's thread
    void* thread_number;  // omp_get_thread_num of the same runtime
};

extern "C" {
extern const __INT64_TYPE__ thetac_abi;    // the version of this interface
extern const __INT64_TYPE__ thetac_chunk;  // elements per chunk
void thetac_step(const ThetacLaunch* launch);
}

namespace thetac {
namespace {

constexpr int64 CHUNK = 32768;       // elements that a thread takes at once
constexpr int64 BLOCK = 512;         // elements that go through buffers together
constexpr int64 PER_THREAD = 16384;  // elements for which starting another thread pays
constexpr int64 MOST_THREADS = 256;
constexpr int GRAD = 1;  // the gradient among the streams

static_assert(CHUNK % BLOCK == 0);  // a block begins at the same element of its tensor whatever the chunks are

// One kernel: the generated code under some conditions.
template <class Number>
struct Chosen {
    void (*update)(Number* const* streams, int64 count, const Number* row);
    Mask loaded, stored;  // streams
};

// The kernel for conditions that are known when it runs. Those that make no difference, given the others, count as
// false, so that no kernel is compiled twice.
template <class Rule, int condition = 0, Mask mask = 0>
Chosen<typename Rule::Number> choose(Mask holds) {
    if constexpr (condition < Rule::CONDITIONS) {
        return holds >> condition & 1 ? choose<Rule, condition + 1, mask | Mask(1) << condition>(holds)
                                      : choose<Rule, condition + 1, mask>(holds);
    } else {
        using Kernel = typename Rule::template Kernel<mask & Rule::template Kernel<mask>::asked>;
        return {&Kernel::update, Kernel::loaded, Kernel::stored};
    }
}

// One launch. `Rule` is the generated struct: its dtypes and sizes, `truths` (the conditions that a row decides) and
// `Kernel<mask>`.
template <class Rule>
class Step {
public:
    explicit Step(const ThetacLaunch& launch)
        : launch_(launch), rescaled_(launch.grad_scale != 1 || launch.clip != 1), threads_(share()) {}

    void run() {
        using Parallel = void (*)(void (*)(void*), void*, unsigned, unsigned);
        if (threads_ > 1)
            reinterpret_cast<Parallel>(launch_.parallel)(&work, this, unsigned(threads_), 0);
        else
            take(shares_[0]);
    }

private:
    using Number = typename Rule::Number;
    using Buffers = Number[Rule::STREAMS][BLOCK];

    static constexpr int64 COLUMNS = 3 + Rule::STREAMS;

    // Chunks that one thread does first, in order. Others help when they are done with their own.
    struct alignas(64) Share {
        int64 next, end;
    };

    // A kernel with one tensor's addresses and row.
    struct Tensor {
        Chosen<Number> kernel;
        const int64* addresses;
        const Number* row;

        bool loads(int stream) const { return kernel.loaded >> stream & 1; }
        bool stores(int stream) const { return kernel.stored >> stream & 1; }
        void* storage(int stream) const { return reinterpret_cast<void*>(addresses[stream]); }
    };

    const int64* tensor_of(int64 chunk) const { return launch_.tensors + COLUMNS * launch_.chunks[2 * chunk]; }
    int64 first_of(int64 chunk) const { return CHUNK * launch_.chunks[2 * chunk + 1]; }

    int64 elements_of(int64 chunk) const {
        const int64 left = *tensor_of(chunk) - first_of(chunk);
        return left < CHUNK ? left : CHUNK;
    }

    // Every thread gets the same elements in every step, so that they stay in its caches, and about as many as others.
    int64 share() {
        int64 elements = 0;
        for (int64 chunk = 0; chunk < launch_.n_chunks; ++chunk) elements += elements_of(chunk);
        int64 threads = launch_.parallel == nullptr ? 1 : (elements + PER_THREAD - 1) / PER_THREAD;
        if (threads > launch_.threads) threads = launch_.threads;
        if (threads > MOST_THREADS) threads = MOST_THREADS;
        if (threads < 1) threads = 1;
        int64 chunk = 0, before = 0;
        for (int64 thread = 0; thread < threads; ++thread) {
            shares_[thread].next = chunk;
            for (; chunk < launch_.n_chunks && before * threads < (thread + 1) * elements; ++chunk)
                before += elements_of(chunk);
            shares_[thread].end = chunk;
        }
        return threads;
    }

    static void work(void* self) {
        Step& step = *static_cast<Step*>(self);
        const int64 first = reinterpret_cast<int (*)()>(step.launch_.thread_number)();
        for (int64 i = 0; i < step.threads_; ++i) step.take(step.shares_[(first + i) % step.threads_]);
    }

    // What is left of a share. Which thread does a chunk is a matter of time; what becomes of it is not.
    void take(Share& share) {
        const DefaultFloatMode mode;
        Mask known = ~Mask(0);
        Tensor tensor{};
        for (;;) {
            const int64 chunk = __atomic_fetch_add(&share.next, 1, __ATOMIC_RELAXED);
            if (chunk >= share.end) return;
            const int64* entry = tensor_of(chunk);
            tensor.addresses = entry + 3;
            tensor.row = static_cast<const Number*>(launch_.rows) + Rule::ENTRIES * entry[1];
            const Mask holds = launch_.specialisations | Rule::truths(tensor.row);
            if (holds != known) tensor.kernel = choose<Rule>(known = holds);
            update(tensor, first_of(chunk), elements_of(chunk));
        }
    }

    // Some elements of one tensor, block by block. What storage has in the arithmetic's own dtype is used in place.
    void update(const Tensor& tensor, int64 first, int64 count) {
        alignas(64) Buffers buffers;
        Number* streams[Rule::STREAMS];
        for (const int64 end = first + count; first < end; first += BLOCK) {
            const int64 now = end - first < BLOCK ? end - first : BLOCK;
            for (int s = 0; s < Rule::STREAMS; ++s) {
                const bool direct = Rule::access[s].direct && !(s == GRAD && rescaled_);
                streams[s] = direct ? static_cast<Number*>(tensor.storage(s)) + first : buffers[s];
                if (!direct && tensor.loads(s)) Rule::access[s].read(tensor.storage(s), first, now, buffers[s]);
            }
            if (rescaled_) rescale(tensor, streams[GRAD], first, now);
            tensor.kernel.update(streams, now, tensor.row);
            for (int s = 0; s < Rule::STREAMS; ++s)
                if (streams[s] == buffers[s] && tensor.stores(s))
                    Rule::access[s].write(buffers[s], tensor.storage(s), first, now);
        }
    }

    // The gradient in its buffer, unscaled and clipped.
    void rescale(const Tensor& tensor, Number* grad, int64 first, int64 count) const {
        const Number divisor = Number(launch_.grad_scale), factor = Number(launch_.clip);
        if (launch_.grad_scale != 1) {
            for (int64 i = 0; i < count; ++i) grad[i] /= divisor;
            if (launch_.write_back != 0) Rule::access[GRAD].write(grad, tensor.storage(GRAD), first, count);
        }
        if (launch_.clip != 1)
            for (int64 i = 0; i < count; ++i) grad[i] *= factor;
    }

    const ThetacLaunch& launch_;
    const bool rescaled_;  // the gradient is not used as it is
    Share shares_[MOST_THREADS];
    const int64 threads_;
};

}  // namespace
}  // namespace thetac

extern "C" const __INT64_TYPE__ thetac_abi = 1;
extern "C" const __INT64_TYPE__ thetac_chunk = thetac::CHUNK;
