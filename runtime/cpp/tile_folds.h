// Where vectors come into blocks, and where the terms of folds go to.
//
// Comes in: the blocks of a tile, one after the other. Comes out: vectors repeated over the elements of a block; results
// of a tile, and when all tiles of a tensor are done, its numbers and vectors. Must not know what is folded.
#pragma once

#include "scratch.h"

namespace thetac {
namespace {

// Calls `use(matrix, row, end)` for the rows that a block has of each matrix.
template <class Use>
void for_each_matrix(const Shape& shape, const Piece& piece, const Use& use) {
    const int64 end = piece.row + piece.rows;
    int64 matrix = piece.row / shape.rows;
    for (int64 row = piece.row, next; row < end; row = next, ++matrix) {
        next = least((matrix + 1) * shape.rows, end);
        use(matrix, row, next);
    }
}

// Writes the number that belongs to each element of a block.
template <class Number>
void broadcast(Extent extent, const double* vector, const Shape& shape, const Piece& piece, Number* __restrict numbers) {
    const int64 columns = piece.columns;
    if (extent == Extent::ROW) {
        for (int64 row = piece.row; row < piece.row + piece.rows; ++row, numbers += columns)
            for (int64 i = 0; i < columns; ++i) numbers[i] = Number(vector[row]);
        return;
    }
    for_each_matrix(shape, piece, [&](int64 matrix, int64 row, int64 end) {
        if (extent == Extent::MATRIX) {
            const int64 count = (end - row) * columns;
            for (int64 i = 0; i < count; ++i) numbers[i] = Number(vector[matrix]);
            numbers += count;
            return;
        }
        const double* const of_matrix = vector + matrix * shape.columns + piece.column;
        for (; row < end; ++row, numbers += columns)
            for (int64 i = 0; i < columns; ++i) numbers[i] = Number(of_matrix[i]);
    });
}

// The folds of one pass over one tensor that are needed.
class Folds {
public:
    Folds(const PassFacts& facts, Mask needed, const TensorPlan& tensor)
        : facts_(facts), needed_(needed), tensor_(tensor), shape_(tensor.tiling.shape) {}

    // Before a tile: nothing is folded yet.
    void start(const Tile& tile) const {
        for_each([&](const Fold& fold, int64 index) {
            const double start = start_of(fold.op);
            if (fold.extent == Extent::COLUMN) {
                for (int64 matrix = tile.first_matrix; matrix < tile.end_matrix; ++matrix)
                    fill(of_columns(fold, index, matrix, tile.row_tile) + tile.first_column,
                         tile.end_column - tile.first_column, start);
            } else if (fold.extent != Extent::PARAMETER) {
                fill(of_rows(fold, index, tile.column_tile) + tile.first_row, tile.end_row - tile.first_row, start);
            }
        });
    }

    // After each of its blocks; `trees` has one for each fold to a number per parameter.
    template <class Number>
    void add(Number* const* pointers, const Tile& tile, const Piece& piece, FoldTree* trees) const {
        for_each([&](const Fold& fold, int64 index) {
            const Number* const terms = pointers[fold.operand];
            if (fold.extent == Extent::PARAMETER)
                trees[index].add(fold.op, thetac::fold(fold.op, terms, piece.rows * piece.columns));
            else if (fold.extent == Extent::COLUMN)
                add_columns(fold, index, terms, tile, piece);
            else
                fold_rows(fold.op, terms, piece.rows, piece.columns, of_rows(fold, index, tile.column_tile) + piece.row);
        });
    }

    // After the tile of that index.
    void finish(int64 tile, const FoldTree* trees) const {
        for_each([&](const Fold& fold, int64 index) {
            if (fold.extent == Extent::PARAMETER) of_tiles(index)[tile] = trees[index].result(fold.op);
        });
    }

    // After all tiles.
    void finish_tensor() const {
        for_each([&](const Fold& fold, int64 index) {
            switch (fold.extent) {
                case Extent::PARAMETER: return finish_number(fold, index);
                case Extent::MATRIX: return finish_matrices(fold, index);
                case Extent::ROW: return finish_rows(fold, index);
                case Extent::COLUMN: return finish_columns(fold, index);
            }
        });
    }

private:
    // Calls `use(fold, index)`; the index counts folds with results of tiles in the same array.
    template <class Use>
    void for_each(const Use& use) const {
        int64 numbers = 0, columns = 0, matrices = 0, rows = 0;
        for (int i = 0; i < facts_.n_folds; ++i) rows += facts_.folds[i].extent == Extent::MATRIX;  // come before them
        for (int i = 0; i < facts_.n_folds; ++i) {
            const Fold& fold = facts_.folds[i];
            const int64 index = fold.extent == Extent::PARAMETER ? numbers++
                                : fold.extent == Extent::COLUMN  ? columns++
                                : fold.extent == Extent::MATRIX  ? matrices++
                                                                 : rows++;
            if (needed_ >> i & 1) use(fold, index);
        }
    }

    static void fill(double* numbers, int64 count, double value) {
        for (int64 i = 0; i < count; ++i) numbers[i] = value;
    }

    double* of_tiles(int64 index) const { return tensor_.of_tiles + index * tensor_.tiling.tiles; }

    // What a column of tiles gives for each row of all matrices.
    double* of_rows(const Fold& fold, int64 index, int64 column_tile) const {
        if (fold.extent == Extent::ROW && tensor_.rows_are_in_place()) return tensor_.vectors[fold.target];
        return tensor_.of_rows + (index * tensor_.tiling.column_tiles + column_tile) * shape_.all_rows();
    }

    // What a row of tiles gives for each column of a matrix.
    double* of_columns(const Fold& fold, int64 index, int64 matrix, int64 row_tile) const {
        if (tensor_.columns_are_in_place()) return tensor_.vectors[fold.target] + matrix * shape_.columns;
        const int64 tile = (index * shape_.batch + matrix) * tensor_.tiling.row_tiles + row_tile;
        return tensor_.of_columns + tile * shape_.columns;
    }

    // A block of whole rows may hold those of several matrices.
    template <class Number>
    void add_columns(const Fold& fold, int64 index, const Number* terms, const Tile& tile, const Piece& piece) const {
        for_each_matrix(shape_, piece, [&](int64 matrix, int64 row, int64 end) {
            fold_columns(fold.op, terms + (row - piece.row) * piece.columns, end - row, piece.columns,
                         of_columns(fold, index, matrix, tile.row_tile) + piece.column);
        });
    }

    void finish_number(const Fold& fold, int64 index) const {
        FoldTree tree;
        for (int64 tile = 0; tile < tensor_.tiling.tiles; ++tile) tree.add(fold.op, of_tiles(index)[tile]);
        tensor_.numbers[fold.target] = tree.result(fold.op);
    }

    void finish_matrices(const Fold& fold, int64 index) const {
        double* const rows = of_rows(fold, index, 0);
        join_tiles(fold.op, rows, tensor_.tiling.column_tiles, shape_.all_rows(), rows);
        for (int64 matrix = 0; matrix < shape_.batch; ++matrix) {
            const double* const of_matrix = rows + matrix * shape_.rows;
            // What is added up are sums already, also those of squares.
            tensor_.vectors[fold.target][matrix] = fold.op == FoldOp::MAX ? thetac::fold<Max>(of_matrix, shape_.rows)
                                                                          : thetac::fold<Sum>(of_matrix, shape_.rows);
        }
    }

    void finish_rows(const Fold& fold, int64 index) const {
        if (tensor_.rows_are_in_place()) return;
        join_tiles(fold.op, of_rows(fold, index, 0), tensor_.tiling.column_tiles, shape_.all_rows(),
                   tensor_.vectors[fold.target]);
    }

    void finish_columns(const Fold& fold, int64 index) const {
        if (tensor_.columns_are_in_place()) return;
        for (int64 matrix = 0; matrix < shape_.batch; ++matrix)
            join_tiles(fold.op, of_columns(fold, index, matrix, 0), tensor_.tiling.row_tiles, shape_.columns,
                       tensor_.vectors[fold.target] + matrix * shape_.columns);
    }

    // Joins the results of several tiles, from the first to the last; `results` may be those of the first.
    static void join_tiles(FoldOp op, const double* of_tiles, int64 tiles, int64 count, double* results) {
        if (results != of_tiles)
            for (int64 i = 0; i < count; ++i) results[i] = of_tiles[i];
        for (int64 tile = 1; tile < tiles; ++tile)
            fold_columns(op == FoldOp::MAX ? FoldOp::MAX : FoldOp::SUM, of_tiles + tile * count, 1, count, results);
    }

    const PassFacts& facts_;
    const Mask needed_;
    const TensorPlan& tensor_;
    const Shape& shape_;
};

}  // namespace
}  // namespace thetac
