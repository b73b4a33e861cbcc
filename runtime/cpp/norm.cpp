// The sum of the squares of all gradients of one launch, in double.
//
// Comes in: the launch of a step, of which the addresses of gradients, sizes and chunks are read. Comes out: one sum, the
// same bits for any number of threads and every kind of processor: each chunk is added up in one order, on lanes of a
// fixed number, and then the chunks in theirs. Must not know what the norm is for.

#include "blocks.h"
#include "threads.h"

namespace {

using thetac::int64;
using Gradient = thetac::THETAC_DTYPE_0;
using Number = thetac::Arithmetic<Gradient>::Number;

constexpr int LANES = 16;

class Norm {
public:
    Norm(const ThetacLaunch& launch, int64 streams, double* sums)
        : launch_(launch), chunks_(launch, streams), sums_(sums), share_{0, launch.n_chunks} {}

    void run() {
        const int64 threads = launch_.threads < launch_.n_chunks ? launch_.threads : launch_.n_chunks;
        thetac::run_on_threads(launch_, launch_.parallel == nullptr ? 1 : threads, &work, this);
        for (int64 chunk = 1; chunk < launch_.n_chunks; ++chunk) sums_[0] += sums_[chunk];
    }

private:
    static void work(void* self) {
        Norm& norm = *static_cast<Norm*>(self);
        for (int64 index = norm.share_.take(); index >= 0; index = norm.share_.take())
            norm.sums_[index] = sum_of(norm.chunks_[index]);
    }

    static double sum_of(const thetac::Chunk& chunk) {
        double lanes[LANES] = {};
        alignas(64) Number numbers[thetac::BLOCK];
        const int64 end = chunk.first + chunk.count;
        for (int64 first = chunk.first; first < end; first += thetac::BLOCK) {
            const int64 count = end - first < thetac::BLOCK ? end - first : thetac::BLOCK;
            thetac::read<Gradient>(chunk.tensor.storage(thetac::GRAD), first, count, numbers);
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
    const thetac::ChunkTable chunks_;
    double* const sums_;
    thetac::Share share_;
};

}  // namespace

// `streams` is the number of addresses per tensor; `sums` has one entry per chunk, and the total is in the
// first at the end.
extern "C" void thetac_sum_of_squares(const ThetacLaunch* launch, int64 streams, double* sums) {
    if (launch->n_chunks == 0)
        sums[0] = 0;
    else
        Norm(*launch, streams, sums).run();
}
