// The sum of the squares of all gradients of one launch, in double.
//
// Comes in: the launch of a step, of which the addresses of gradients, sizes and chunks are read. Comes out: one sum, the
// same bits for any number of threads and every kind of processor: each chunk is added up in one order, on lanes of a
// fixed number, and then the chunks in theirs. Must not know what the norm is for.

#include "kernel.h"

namespace {

using thetac::int64;
using Gradient = thetac::THETAC_DTYPE_0;
using Number = thetac::Arithmetic<Gradient>::Number;

constexpr int LANES = 16;

class Norm {
public:
    Norm(const ThetacLaunch& launch, int64 columns, double* sums) : launch_(launch), columns_(columns), sums_(sums) {}

    void run() {
        using Parallel = void (*)(void (*)(void*), void*, unsigned, unsigned);
        const int64 threads = launch_.threads < launch_.n_chunks ? launch_.threads : launch_.n_chunks;
        if (launch_.parallel != nullptr && threads > 1)
            reinterpret_cast<Parallel>(launch_.parallel)(&work, this, unsigned(threads), 0);
        else
            work(this);
        for (int64 chunk = 1; chunk < launch_.n_chunks; ++chunk) sums_[0] += sums_[chunk];
    }

private:
    static void work(void* self) {
        Norm& norm = *static_cast<Norm*>(self);
        for (;;) {
            const int64 chunk = __atomic_fetch_add(&norm.next_, 1, __ATOMIC_RELAXED);
            if (chunk >= norm.launch_.n_chunks) return;
            norm.sums_[chunk] = norm.sum_of(norm.launch_.chunks + 2 * chunk);
        }
    }

    double sum_of(const thetac::int32* chunk) const {
        constexpr auto access = thetac::access_of<Number, Gradient>();
        const int64* tensor = launch_.tensors + columns_ * chunk[0];
        const void* gradient = reinterpret_cast<const void*>(tensor[4]);
        int64 first = thetac::CHUNK * chunk[1];
        const int64 end = *tensor - first < thetac::CHUNK ? *tensor : first + thetac::CHUNK;
        double lanes[LANES] = {};
        alignas(64) Number numbers[thetac::BLOCK];
        for (; first < end; first += thetac::BLOCK) {
            const int64 count = end - first < thetac::BLOCK ? end - first : thetac::BLOCK;
            access.read(gradient, first, count, numbers);
            for (int64 i = count; i % LANES != 0; ++i) numbers[i] = 0;
            for (int64 i = 0; i < count; i += LANES)
                for (int lane = 0; lane < LANES; ++lane) {
                    const double number = numbers[i + lane];
                    lanes[lane] += number * number;
                }
        }
        for (int width = LANES / 2; width > 0; width /= 2)
            for (int lane = 0; lane < width; ++lane) lanes[lane] += lanes[lane + width];
        return lanes[0];
    }

    const ThetacLaunch& launch_;
    const int64 columns_;
    double* const sums_;
    int64 next_ = 0;
};

}  // namespace

// `columns` is that of the table of tensors; `sums` has a place per chunk, and the whole sum is in the first at the end.
extern "C" void thetac_sum_of_squares(const ThetacLaunch* launch, int64 columns, double* sums) {
    if (launch->n_chunks == 0)
        sums[0] = 0;
    else
        Norm(*launch, columns, sums).run();
}
