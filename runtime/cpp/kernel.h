// What generated C++ kernels share: the interface to the runtime, operations whose rounding or treatment of NaN needs
// care, dtypes of storage, and the loop over chunks. docs/cpp.md says why it is as it is.
//
// Must not know any algorithm. Includes nothing: a header of the standard library takes longer to compile than most
// kernels do.
#pragma once

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

// Nothing else is visible outside: a process loads many of these objects.
namespace thetac {
namespace {

using int32 = __INT32_TYPE__;
using int64 = __INT64_TYPE__;
using uint16 = __UINT16_TYPE__;
using uint32 = __UINT32_TYPE__;
using uint64 = __UINT64_TYPE__;
using Mask = uint64;

constexpr int64 CHUNK = 16384;  // elements that a thread takes at once
constexpr int64 BLOCK = 512;    // elements whose numbers are held in a buffer on the way from and to storage
constexpr int64 PER_THREAD = 16384;  // elements for which starting another thread pays

template <class To, class From>
inline To bits(From value) {
    static_assert(sizeof(To) == sizeof(From));
    To result;
    __builtin_memcpy(&result, &value, sizeof result);
    return result;
}

// ---------------------------------------------------------------------------------------------------------------------
// Operations of the language on elements. `x > y ? x : y` and the like are one instruction of a vector each.

namespace ops {

inline float square_root(float x) { return __builtin_sqrtf(x); }
inline double square_root(double x) { return __builtin_sqrt(x); }
inline float absolute(float x) { return __builtin_fabsf(x); }
inline double absolute(double x) { return __builtin_fabs(x); }

// -1, 0 or 1; 0 for NaN, as torch has it.
template <class Number>
inline Number sign(Number x) {
    return x > 0 ? Number(1) : x < 0 ? Number(-1) : Number(0);
}

// NaN if either is.
template <class Number>
inline Number maximum(Number x, Number y) {
    const Number larger = x > y ? x : y;  // y if either is NaN
    return x != x ? x : larger;
}

// NaN if either is.
template <class Number>
inline Number minimum(Number x, Number y) {
    const Number smaller = x < y ? x : y;
    return x != x ? x : smaller;
}

// The upper bound wins where they cross; NaN stays.
template <class Number>
inline Number clamp(Number x, Number low, Number high) {
    return minimum(maximum(x, low), high);
}

// torch's two formulas, `start + weight * (end - start)` and `end - (end - start) * (1 - weight)`: each is exact at its
// own end. Both are a value plus a factor times the difference, and what depends on the weight alone leaves the loop.
template <class Number>
inline Number lerp(Number start, Number end, Number weight) {
    const bool near = absolute(weight) < Number(0.5);
    const Number factor = near ? weight : -(1 - weight);
    return (near ? start : end) + factor * (end - start);
}

}  // namespace ops

// The one NaN that is stored. Which of two NaN an instruction passes on depends on the order of its operands, and
// compilers choose that order for each level of the instruction set anew.
inline float canonical(float x) { return x == x ? x : __builtin_nanf(""); }
inline double canonical(double x) { return x == x ? x : __builtin_nan(""); }

// ---------------------------------------------------------------------------------------------------------------------
// Dtypes of storage: `get` gives the number that is stored, `put` rounds to nearest, ties to even.

struct F32 {
    using Storage = float;
    static float get(float stored) { return stored; }
    static float put(float x) { return canonical(x); }
    static float put(double x) { return canonical(float(x)); }
};

struct F64 {
    using Storage = double;
    static double get(double stored) { return stored; }
    static double put(double x) { return canonical(x); }
};

struct BF16 {
    using Storage = uint16;
    static float get(uint16 stored) { return bits<float>(uint32(stored) << 16); }
    static uint16 put(float x) {
        const uint32 word = bits<uint32>(x);
        const uint32 rounded = (word + 0x7FFF + (word >> 16 & 1)) >> 16;
        return uint16(x == x ? rounded : 0x7FC0);
    }
};

struct F16 {
    using Storage = uint16;

    // Exponents are moved from bias 15 to 127, those of infinity and NaN to 255. Numbers below the smallest normal one
    // are integers times 2**-24.
    static float get(uint16 stored) {
        const uint32 magnitude = stored & 0x7FFF, sign = uint32(stored & 0x8000) << 16;
        const uint32 bias = magnitude >= 0x7C00 ? (255 - 31) << 23 : (127 - 15) << 23;
        const uint32 small = bits<uint32>(float(int32(magnitude)) * 0x1p-24f);
        return bits<float>((magnitude < 0x0400 ? small : (magnitude << 13) + bias) | sign);
    }

    // Below the smallest normal number, adding 0.5 lines the last place up with 2**-24, and the addition rounds.
    static uint16 put(float x) {
        const uint32 word = bits<uint32>(x), magnitude = word & 0x7FFFFFFF, sign = word >> 16 & 0x8000;
        const uint32 small = bits<uint32>(bits<float>(magnitude) + 0.5f) - bits<uint32>(0.5f);
        const uint32 normal = (magnitude + 0xFFF + (magnitude >> 13 & 1) - ((127 - 15) << 23)) >> 13;
        const uint32 finite = magnitude < 0x38800000 ? small : normal;
        const uint32 rounded = magnitude >= 0x47800000 ? 0x7C00 : finite;
        return uint16(x == x ? rounded | sign : 0x7E00);
    }
};

template <class Dtype>
struct Arithmetic {  // float32, and float64 where the parameter is float64
    using Number = float;
};
template <>
struct Arithmetic<F64> {
    using Number = double;
};

template <class A, class B>
constexpr bool same = false;
template <class A>
constexpr bool same<A, A> = true;

template <class Dtype, class Number>
void read(const void* from, int64 first, int64 count, Number* numbers) {
    auto stored = static_cast<const typename Dtype::Storage*>(from) + first;
#pragma GCC ivdep
    for (int64 i = 0; i < count; ++i) numbers[i] = Number(Dtype::get(stored[i]));
}

template <class Dtype, class Number>
void write(const Number* numbers, void* to, int64 first, int64 count) {
    auto stored = static_cast<typename Dtype::Storage*>(to) + first;
#pragma GCC ivdep
    for (int64 i = 0; i < count; ++i) stored[i] = Dtype::put(numbers[i]);
}

// How one stream comes from and goes to storage.
template <class Number>
struct Access {
    int64 width;  // bytes per element
    bool direct;  // it is stored as arithmetic has it: no buffer is needed
    void (*read)(const void* from, int64 first, int64 count, Number* numbers);
    void (*write)(const Number* numbers, void* to, int64 first, int64 count);
};

template <class Number, class Dtype>
constexpr Access<Number> access_of() {
    using Storage = typename Dtype::Storage;
    return {sizeof(Storage), same<Storage, Number>, &read<Dtype, Number>, &write<Dtype, Number>};
}

// ---------------------------------------------------------------------------------------------------------------------
// The loop over chunks. `Kernel<mask>` is the generated code under the conditions that hold; `Rule` says:
//   Number, STREAMS, ENTRIES (of a row), CONDITIONS (number of them), access[STREAMS],
//   truths(row): the conditions that a row decides, Kernel<mask>: `asked`, `loaded`, `stored` (of streams), `update`.

template <class Number>
struct Chosen {
    void (*update)(Number* const* streams, int64 count, const Number* row);
    Mask loaded, stored;
};

// The kernel for a mask that is known when it runs. Conditions that no one asks for under the others count as false, so
// that no kernel is compiled twice.
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

template <class Rule>
class Step {
public:
    explicit Step(const ThetacLaunch& launch) : launch_(launch) {}

    void run() {
        using Parallel = void (*)(void (*)(void*), void*, unsigned, unsigned);
        share();
        if (threads_ > 1)
            reinterpret_cast<Parallel>(launch_.parallel)(&work, this, unsigned(threads_), 0);
        else
            take(shares_[0]);
    }

private:
    using Number = typename Rule::Number;

    static constexpr int64 COLUMNS = 3 + Rule::STREAMS;
    static constexpr int64 MOST_THREADS = 256;

    // Chunks that one thread does first, in order. Others help when they are done with their own.
    struct alignas(64) Share {
        int64 next, end;
    };

    const int64* tensor_of(int64 chunk) const { return launch_.tensors + COLUMNS * launch_.chunks[2 * chunk]; }

    int64 elements_of(int64 chunk) const {
        const int64 left = *tensor_of(chunk) - CHUNK * launch_.chunks[2 * chunk + 1];
        return left < CHUNK ? left : CHUNK;
    }

    // Every thread gets the same elements in every step, so that they stay in its caches, and about as many as others.
    void share() {
        int64 elements = 0;
        for (int64 chunk = 0; chunk < launch_.n_chunks; ++chunk) elements += elements_of(chunk);
        threads_ = launch_.parallel == nullptr ? 1 : (elements + PER_THREAD - 1) / PER_THREAD;
        if (threads_ > launch_.threads) threads_ = launch_.threads;
        if (threads_ > MOST_THREADS) threads_ = MOST_THREADS;
        if (threads_ < 1) threads_ = 1;
        int64 chunk = 0, before = 0;
        for (int64 thread = 0; thread < threads_; ++thread) {
            shares_[thread].next = chunk;
            for (; chunk < launch_.n_chunks && before * threads_ < (thread + 1) * elements; ++chunk)
                before += elements_of(chunk);
            shares_[thread].end = chunk;
        }
    }

    static void work(void* self) {
        Step& step = *static_cast<Step*>(self);
        const int64 first = reinterpret_cast<int (*)()>(step.launch_.thread_number)();
        for (int64 i = 0; i < step.threads_; ++i) step.take(step.shares_[(first + i) % step.threads_]);
    }

    // What is left of a share. Which thread does a chunk is a matter of time; what becomes of it is not.
    void take(Share& share) {
        Mask known = ~Mask(0);
        Chosen<Number> kernel{};
        for (;;) {
            const int64 chunk = __atomic_fetch_add(&share.next, 1, __ATOMIC_RELAXED);
            if (chunk >= share.end) return;
            const int64* tensor = tensor_of(chunk);
            const Number* row = static_cast<const Number*>(launch_.rows) + Rule::ENTRIES * tensor[1];
            const Mask holds = launch_.specialisations | Rule::truths(row);
            if (holds != known) kernel = choose<Rule>(known = holds);
            update(kernel, tensor + 3, row, CHUNK * launch_.chunks[2 * chunk + 1], elements_of(chunk));
        }
    }

    // Some elements of one tensor.
    void update(const Chosen<Number>& kernel, const int64* addresses, const Number* row, int64 first, int64 count) {
        const bool scaled = launch_.grad_scale != 1 || launch_.clip != 1;
        alignas(64) Number buffers[Rule::STREAMS][BLOCK];
        Number* streams[Rule::STREAMS];
        Mask buffered = 0;
        for (int s = 0; s < Rule::STREAMS; ++s)
            if (!Rule::access[s].direct || (s == GRAD && scaled)) buffered |= Mask(1) << s;
        const int64 block = (buffered & (kernel.loaded | kernel.stored)) != 0 ? BLOCK : count;
        for (const int64 end = first + count; first < end; first += block) {
            const int64 now = end - first < block ? end - first : block;
            for (int s = 0; s < Rule::STREAMS; ++s) {
                void* storage = reinterpret_cast<void*>(addresses[s]);
                if (buffered >> s & 1) {
                    streams[s] = buffers[s];
                    if (kernel.loaded >> s & 1) Rule::access[s].read(storage, first, now, buffers[s]);
                } else {
                    streams[s] = static_cast<Number*>(storage) + first;
                }
            }
            if (scaled) scale(streams[GRAD], reinterpret_cast<void*>(addresses[GRAD]), first, now);
            kernel.update(streams, now, row);
            for (int s = 0; s < Rule::STREAMS; ++s)
                if (buffered & kernel.stored & Mask(1) << s)
                    Rule::access[s].write(buffers[s], reinterpret_cast<void*>(addresses[s]), first, now);
        }
    }

    // The gradient in its buffer, unscaled and clipped.
    void scale(Number* grad, void* storage, int64 first, int64 count) {
        const Number divisor = Number(launch_.grad_scale), factor = Number(launch_.clip);
        if (launch_.grad_scale != 1) {
            for (int64 i = 0; i < count; ++i) grad[i] /= divisor;
            if (launch_.write_back != 0) Rule::access[GRAD].write(grad, storage, first, count);
        }
        if (launch_.clip != 1)
            for (int64 i = 0; i < count; ++i) grad[i] *= factor;
    }

    static constexpr int GRAD = 1;

    const ThetacLaunch& launch_;
    int64 threads_ = 1;
    Share shares_[MOST_THREADS];
};

}  // namespace
}  // namespace thetac

extern "C" const __INT64_TYPE__ thetac_abi = 1;
extern "C" const __INT64_TYPE__ thetac_chunk = thetac::CHUNK;
