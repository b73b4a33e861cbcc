// Products with the inverse Hessian that pairs of steps s and changes of the gradient y approximate, without a sweep of
// memory for each pair: the two-loop recursion is done on inner products, and the result is one linear combination.
//
// Comes in: addresses of flat vectors. Comes out: their inner products in double, the coefficients of the combination,
// and the combination, rounded once. The bits are the same for any number of threads and every kind of processor: the
// products of each chunk are added up in one order, on lanes of a fixed number, and then the chunks in theirs. Must not
// know what the vectors mean.

#include "dtypes.h"
#include "threads.h"

namespace {

using thetac::int64;
using Number = thetac::Arithmetic<thetac::THETAC_DTYPE_0>::Number;

// Eight numbers, and as many doubles. Loops over arrays that mix both are not turned into vector instructions by every
// compiler; these are, and their lanes give the same bits where there are no such instructions.
constexpr int WIDTH = 8, STREAMS = 4;
constexpr int64 LANES = WIDTH * STREAMS;
typedef Number Numbers __attribute__((vector_size(WIDTH * sizeof(Number))));
typedef double Doubles __attribute__((vector_size(WIDTH * sizeof(double))));

constexpr int64 BLOCK = 4096;  // elements whose vectors are in the first cache together
constexpr int64 SHARE = 32768;  // elements that a thread takes at once

inline const Number* at(int64 address) { return reinterpret_cast<const Number*>(address); }

inline Doubles load(const Number* from) {
    Numbers numbers;
    __builtin_memcpy(&numbers, from, sizeof numbers);
    return __builtin_convertvector(numbers, Doubles);
}

inline Doubles load_doubles(const double* from) {
    Doubles doubles;
    __builtin_memcpy(&doubles, from, sizeof doubles);
    return doubles;
}

// Shares of a range of elements, and the threads that take them.
template <class Work>
void run(const ThetacLaunch& launch, int64 vectors, int64 shares, Work& work) {
    int64 threads = launch.parallel == nullptr ? 1 : shares * SHARE * vectors / (4 * thetac::PER_THREAD);
    if (threads > launch.threads) threads = launch.threads;
    if (threads > shares) threads = shares;
    if (threads < 1) threads = 1;
    work.share = thetac::Share{0, shares, 0};
    thetac::run_on_threads(launch, threads, &Work::start, &work);
}

// Returns the sum of the products of `count` numbers, at most a block, with those of a query.
inline double product(const Number* numbers, const double* query, int64 count) {
    Doubles lanes[STREAMS] = {};
    const int64 whole = count - count % LANES;
    for (int64 i = 0; i < whole; i += LANES)
        for (int stream = 0; stream < STREAMS; ++stream)
            lanes[stream] += load(numbers + i + stream * WIDTH) * load_doubles(query + i + stream * WIDTH);
    const Doubles sums = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
    double rest = 0;
    for (int64 i = whole; i < count; ++i) rest += double(numbers[i]) * query[i];
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7])) + rest;
}

template <int QUERIES>
struct Products {
    const int64* vectors;
    const int64* queries;
    int64 n_vectors, first, count;
    double* sums;  // [shares][QUERIES][vectors]
    thetac::Share share;

    static void start(void* self) {
        Products& products = *static_cast<Products*>(self);
        for (int64 one = products.share.take(); one >= 0; one = products.share.take()) products.add_up(one);
    }

    void add_up(int64 one) const {
        double* mine = sums + one * QUERIES * n_vectors;
        for (int64 i = 0; i < QUERIES * n_vectors; ++i) mine[i] = 0;
        const int64 begin = one * SHARE, end = begin + SHARE < count ? begin + SHARE : count;
        alignas(64) double loaded[QUERIES][BLOCK];
        for (int64 block = begin; block < end; block += BLOCK) {
            const int64 size = end - block < BLOCK ? end - block : BLOCK;
            for (int query = 0; query < QUERIES; ++query) {
                const Number* from = at(queries[query]) + first + block;
                for (int64 i = 0; i < size; ++i) loaded[query][i] = from[i];
            }
            for (int64 vector = 0; vector < n_vectors; ++vector) {
                const Number* numbers = at(vectors[vector]) + first + block;
                for (int query = 0; query < QUERIES; ++query)
                    mine[query * n_vectors + vector] += product(numbers, loaded[query], size);
            }
        }
    }
};

template <int QUERIES>
void products_of(const ThetacLaunch& launch, Products<QUERIES> products, double* results) {
    const int64 shares = (products.count + SHARE - 1) / SHARE, width = QUERIES * products.n_vectors;
    run(launch, products.n_vectors, shares, products);
    for (int64 i = 0; i < width; ++i) {
        results[i] = 0;
        for (int64 one = 0; one < shares; ++one) results[i] += products.sums[one * width + i];
    }
}

struct Combination {
    const int64* vectors;
    const double* factors;
    int64 n_vectors, count;
    Number* result;
    thetac::Share share;

    static void start(void* self) {
        Combination& combination = *static_cast<Combination*>(self);
        for (int64 one = combination.share.take(); one >= 0; one = combination.share.take()) combination.add_up(one);
    }

    static void add(const Number* numbers, double factor, int64 size, double* sums) {
        int64 i = 0;
        for (; i + WIDTH <= size; i += WIDTH) {
            const Doubles sum = load_doubles(sums + i) + factor * load(numbers + i);
            __builtin_memcpy(sums + i, &sum, sizeof sum);
        }
        for (; i < size; ++i) sums[i] += factor * double(numbers[i]);
    }

    void add_up(int64 one) const {
        const int64 begin = one * SHARE, end = begin + SHARE < count ? begin + SHARE : count;
        alignas(64) double sums[BLOCK];
        for (int64 block = begin; block < end; block += BLOCK) {
            const int64 size = end - block < BLOCK ? end - block : BLOCK;
            for (int64 i = 0; i < size; ++i) sums[i] = 0;
            for (int64 vector = 0; vector < n_vectors; ++vector) add(at(vectors[vector]) + block, factors[vector], size, sums);
            for (int64 i = 0; i < size; ++i) result[block + i] = Number(sums[i]);
        }
    }
};

}  // namespace

extern "C" {

extern const int64 thetac_share = SHARE;  // `scratch` below has `queries * n_vectors` doubles for each share of elements

// Writes the inner products of every vector with one or two queries, over `count` elements from `first` on, to
// `results` [queries][n_vectors].
void thetac_products(const ThetacLaunch* launch, const int64* vectors, int64 n_vectors, const int64* queries,
                     int64 n_queries, int64 first, int64 count, double* scratch, double* results) {
    if (n_queries == 1)
        products_of<1>(*launch, {vectors, queries, n_vectors, first, count, scratch, {}}, results);
    else
        products_of<2>(*launch, {vectors, queries, n_vectors, first, count, scratch, {}}, results);
}

// Writes the factors of q, of every s and of every y in the product of q with the inverse Hessian, to
// `factors` [1 + 2 pairs]. `sy` and `yy` [size][size] have the products of s of one pair with y of another, and of y
// with y; of `sy` only those with y of the same or of a later pair are read. `with_q` [2 pairs] has those of all s and
// of all y with q.
void thetac_recursion(int64 pairs, int64 size, const double* sy, const double* yy, const double* with_q,
                      double* factors) {
    const double* const q_s = with_q;
    const double* const q_y = with_q + pairs;
    double* const of_s = factors + 1;
    double* const of_y = of_s + pairs;
    for (int64 i = pairs - 1; i >= 0; --i) {
        double product = q_s[i];
        for (int64 j = pairs - 1; j > i; --j) product += of_y[j] * sy[i * size + j];
        of_y[i] = -product / sy[i * size + i];
    }
    const int64 last = pairs - 1;
    const double scale = pairs == 0 ? 1 : sy[last * size + last] / yy[last * size + last];
    factors[0] = scale;
    for (int64 i = 0; i < pairs; ++i) {
        double product = q_y[i];
        for (int64 j = 0; j < pairs; ++j) product += of_y[j] * yy[i * size + j];
        product *= scale;
        for (int64 j = 0; j < i; ++j) product += of_s[j] * sy[j * size + i];
        of_s[i] = -of_y[i] - product / sy[i * size + i];
    }
    for (int64 i = 0; i < pairs; ++i) of_y[i] *= scale;
}

// Writes the sum of all vectors, each times its factor, to `result`.
void thetac_combine(const ThetacLaunch* launch, const int64* vectors, const double* factors, int64 n_vectors,
                    int64 count, void* result) {
    Combination combination{vectors, factors, n_vectors, count, static_cast<Number*>(result), {}};
    run(*launch, n_vectors, (count + SHARE - 1) / SHARE, combination);
}
}
