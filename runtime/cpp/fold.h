// Folds: the sum or the maximum of many numbers, in double, in an order that their number alone decides.
//
// Comes in: numbers of a block, or of several blocks. Comes out: one number of all, of each row or of each column. Must
// not know tensors, nor why something is folded.
//
// A block is folded on lanes of a fixed number, so that every level of the processor has the same order. Blocks of a
// sequence are folded by a binary tree over aligned positions, so that it does not matter into how many pieces of
// 2**k blocks the sequence is cut.
#pragma once

#include "elements.h"

namespace thetac {
namespace {

enum class FoldOp { SUM, SQUARES, MAX };  // SQUARES: the sum of the squares, each of which is exact

struct Sum {
    static constexpr double START = 0;
    static double join(double a, double b) { return a + b; }
    template <class Number>
    static double term(Number x) {
        return x;
    }
};

struct Squares : Sum {
    template <class Number>
    static double term(Number x) {
        return double(x) * double(x);
    }
};

struct Max {
    static constexpr double START = -__builtin_inf();
    static double join(double a, double b) { return ops::maximum(a, b); }  // NaN wins
    template <class Number>
    static double term(Number x) {
        return x;
    }
};

constexpr double start_of(FoldOp op) { return op == FoldOp::MAX ? Max::START : Sum::START; }

inline double join(FoldOp op, double a, double b) { return op == FoldOp::MAX ? Max::join(a, b) : Sum::join(a, b); }

constexpr int64 FOLD_LANES = 16;

// Precedes the loop over lanes: unrolled, maxima would not become vector code.
#if defined(__clang__)
#define THETAC_KEEP_LOOP _Pragma("clang loop unroll(disable)")
#else
#define THETAC_KEEP_LOOP _Pragma("GCC unroll 1")
#endif

// Returns the fold of `count` numbers.
template <class Op, class Number>
double fold(const Number* numbers, int64 count) {
    if (count < FOLD_LANES) {
        double result = Op::START;
        for (int64 k = 0; k < count; ++k) result = Op::join(result, Op::term(numbers[k]));
        return result;
    }
    double lanes[FOLD_LANES];
    for (int64 lane = 0; lane < FOLD_LANES; ++lane) lanes[lane] = Op::START;
    int64 i = 0;
    for (; i + FOLD_LANES <= count; i += FOLD_LANES) {
        THETAC_KEEP_LOOP
        for (int64 lane = 0; lane < FOLD_LANES; ++lane)
            lanes[lane] = Op::join(lanes[lane], Op::term(numbers[i + lane]));
    }
    for (int64 lane = 0; i + lane < count; ++lane) lanes[lane] = Op::join(lanes[lane], Op::term(numbers[i + lane]));
    for (int64 width = FOLD_LANES / 2; width > 0; width /= 2)
        for (int64 lane = 0; lane < width; ++lane) lanes[lane] = Op::join(lanes[lane], lanes[lane + width]);
    return lanes[0];
}

// Joins the fold of each row of a block to the number that the row has in `results`.
template <class Op, class Number>
void fold_rows(const Number* numbers, int64 rows, int64 columns, double* results) {
    for (int64 row = 0; row < rows; ++row)
        results[row] = Op::join(results[row], fold<Op>(numbers + row * columns, columns));
}

// Joins the numbers of each column of a block, from top to bottom, to the number that the column has in `results`.
template <class Op, class Number>
void fold_columns(const Number* numbers, int64 rows, int64 columns, double* __restrict results) {
    for (int64 row = 0; row < rows; ++row) {
        const Number* __restrict of_row = numbers + row * columns;
        for (int64 i = 0; i < columns; ++i) results[i] = Op::join(results[i], Op::term(of_row[i]));
    }
}

// The same for an operation that is known at run time.
template <class Number>
double fold(FoldOp op, const Number* numbers, int64 count) {
    switch (op) {
        case FoldOp::SUM: return fold<Sum>(numbers, count);
        case FoldOp::SQUARES: return fold<Squares>(numbers, count);
        default: return fold<Max>(numbers, count);
    }
}

template <class Number>
void fold_rows(FoldOp op, const Number* numbers, int64 rows, int64 columns, double* results) {
    switch (op) {
        case FoldOp::SUM: return fold_rows<Sum>(numbers, rows, columns, results);
        case FoldOp::SQUARES: return fold_rows<Squares>(numbers, rows, columns, results);
        default: return fold_rows<Max>(numbers, rows, columns, results);
    }
}

template <class Number>
void fold_columns(FoldOp op, const Number* numbers, int64 rows, int64 columns, double* results) {
    switch (op) {
        case FoldOp::SUM: return fold_columns<Sum>(numbers, rows, columns, results);
        case FoldOp::SQUARES: return fold_columns<Squares>(numbers, rows, columns, results);
        default: return fold_columns<Max>(numbers, rows, columns, results);
    }
}

// Joins numbers that are added in order, by a binary tree over aligned positions: first the pairs, then pairs of pairs.
class FoldTree {
public:
    void add(FoldOp op, double number) {
        int level = 0;
        for (int64 left = count_++; left & 1; left >>= 1) number = join(op, levels_[level++], number);
        levels_[level] = number;
    }

    double result(FoldOp op) const {
        double joined = start_of(op);
        bool any = false;
        int level = 0;
        for (int64 left = count_; left != 0; left >>= 1, ++level) {
            if (!(left & 1)) continue;
            joined = any ? join(op, levels_[level], joined) : levels_[level];
            any = true;
        }
        return joined;
    }

private:
    double levels_[64];
    int64 count_ = 0;
};

}  // namespace
}  // namespace thetac
