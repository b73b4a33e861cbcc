// What generated tensor programs call: they compute numbers per parameter, matrix, row and column, in double.
//
// Comes in: a tensor of a launch and its plan. Comes out: loops over its rows and columns, folds of its vectors, small
// states read and written. Must not know any algorithm.
#pragma once

#include "dtypes.h"
#include "scratch.h"

namespace thetac {
namespace {

namespace ops {

inline double power(double x, double y) { return __builtin_pow(x, y); }
inline double exponential(double x) { return __builtin_exp(x); }
inline double logarithm(double x) { return __builtin_log(x); }

}  // namespace ops

// A tensor, as the program sees it.
class ProgramTensor {
public:
    ProgramTensor(const TensorEntry& entry, const TensorPlan& plan)
        : numbers(plan.numbers), entry_(entry), plan_(plan), shape_(plan.tiling.shape) {}

    double* const numbers;

    double* vector(int index) const { return plan_.vectors[index]; }

    // Calls `compute(matrix, i)` for every matrix, row or column; `i` is its place in a vector of that extent.
    template <class Compute>
    void for_matrices(const Compute& compute) const {
THETAC_VECTORIZE
        for (int64 i = 0; i < shape_.batch; ++i) compute(i, i);
    }

    template <class Compute>
    void for_rows(const Compute& compute) const {
        for_each(shape_.rows, compute);
    }

    template <class Compute>
    void for_columns(const Compute& compute) const {
        for_each(shape_.columns, compute);
    }

    // Folds a vector to one number.
    template <class Op>
    double fold_all(Extent extent, const double* vector) const {
        return fold<Op>(vector, count_of(extent, shape_));
    }

    // Folds the rows or the columns of each matrix to one number.
    template <class Op>
    void fold_matrices(Extent extent, const double* vector, double* results) const {
        const int64 each = extent == Extent::ROW ? shape_.rows : shape_.columns;
        for (int64 matrix = 0; matrix < shape_.batch; ++matrix)
            results[matrix] = fold<Op>(vector + matrix * each, each);
    }

    // Replaces the numbers of rows by the mean of their block; of `number` blocks the last may be shorter. The results
    // may take the place of the vector.
    void mean_of_blocks(const double* vector, double number, double* results) const {
        const int64 rows = shape_.rows, wanted = static_cast<int64>(number), length = (rows + wanted - 1) / wanted;
        for (int64 matrix = 0; matrix < shape_.batch; ++matrix) {
            for (int64 first = 0; first < rows; first += length) {
                const int64 begin = matrix * rows + first, size = rows - first < length ? rows - first : length;
                const double mean = fold<Sum>(vector + begin, size) / static_cast<double>(size);
                for (int64 i = begin; i < begin + size; ++i) results[i] = mean;
            }
        }
    }

    // Reads and writes a small state; `column` is that of its address in the table.
    template <class Dtype>
    void load(int column, Extent extent, double* numbers) const {
        read<Dtype>(entry_.storage(column), 0, count_of(extent, shape_), numbers);
    }

    template <class Dtype>
    void store(int column, Extent extent, const double* numbers) const {
        write<Dtype>(numbers, entry_.storage(column), 0, count_of(extent, shape_));
    }

private:
    template <class Compute>
    void for_each(int64 each, const Compute& compute) const {
        for (int64 matrix = 0, first = 0; matrix < shape_.batch; ++matrix, first += each) {
THETAC_VECTORIZE
            for (int64 i = first; i < first + each; ++i) compute(matrix, i);
        }
    }

    const TensorEntry& entry_;
    const TensorPlan& plan_;
    const Shape& shape_;
};

}  // namespace
}  // namespace thetac
