// Tiles: the pieces of a tensor that a thread computes at once, where numbers per parameter, row and column are needed.
//
// Comes in: the shape of a tensor. Comes out: its tiles, and of what blocks they consist. Must not know what is computed.
//
// The shape alone decides, so that rows and columns are folded in one order. Where a rule has no numbers per row or
// column, a tensor is one row, and a tile is a chunk.
#pragma once

#include "blocks.h"

namespace thetac {
namespace {

// Matrices of the last two axes, as many as the other axes have positions. Rows are counted through all matrices.
struct Shape {
    int64 batch, rows, columns;

    int64 all_rows() const { return batch * rows; }
    int64 all_columns() const { return batch * columns; }
};

// A piece of a tensor: some rows, and some of their columns. It lies within a matrix, or consists of whole matrices.
struct Tile {
    int64 first_row, end_row, first_column, end_column;
    int64 first_matrix, end_matrix;
    int64 row_tile, column_tile;  // its place within the matrix

    int64 elements() const { return (end_row - first_row) * (end_column - first_column); }
};

// A piece of a tile: one block.
struct Piece {
    int64 row, rows, column, columns;  // `row` and `column` are the first
};

constexpr int64 TILE_ROWS = 64, TILE_COLUMNS = 2048;

inline int64 least(int64 a, int64 b) { return a < b ? a : b; }

// How a tensor is cut into tiles, and these into blocks.
struct Tiling {
    Shape shape;
    int64 block_rows, block_columns;  // whole rows, or a piece of one row: elements that are next to each other
    int64 tile_rows, tile_columns;
    int64 matrices;                  // in a tile
    int64 row_tiles, column_tiles;   // of a matrix
    int64 tiles;                     // of the tensor, at least one, of which it may be that it has no elements

    explicit Tiling(const Shape& of) : shape(of) {
        const int64 columns = shape.columns;
        matrices = 1;
        if (columns < BLOCK) {
            block_rows = columns > 0 ? BLOCK / columns : BLOCK;
            block_columns = tile_columns = columns > 0 ? columns : 1;
            tile_rows = CHUNK / BLOCK * block_rows;
            if (shape.rows <= tile_rows) {
                matrices = shape.rows > 0 ? tile_rows / shape.rows : shape.batch + 1;
                tile_rows = matrices * shape.rows;
            }
        } else {
            block_rows = tile_rows = 1;
            block_columns = BLOCK;
            while (tile_rows < TILE_ROWS && tile_rows < shape.rows) tile_rows *= 2;
            tile_columns = CHUNK / tile_rows;
            if (tile_columns < TILE_COLUMNS) tile_columns = TILE_COLUMNS;
        }
        row_tiles = pieces(shape.rows, tile_rows);
        column_tiles = pieces(columns, tile_columns);
        tiles = pieces(shape.batch, matrices) * row_tiles * column_tiles;
    }

    Tile operator[](int64 index) const {
        const int64 row_tile = index / column_tiles % row_tiles, column_tile = index % column_tiles;
        const int64 matrix = index / (column_tiles * row_tiles) * matrices;
        const int64 end_matrix = least(matrix + matrices, shape.batch);
        const int64 row = matrix * shape.rows + row_tile * tile_rows, column = column_tile * tile_columns;
        const int64 end_row = least(row + tile_rows, end_matrix * shape.rows);
        const int64 end_column = least(column + tile_columns, shape.columns);
        return {row, end_row, column, end_column, matrix, end_matrix, row_tile, column_tile};
    }

private:
    static int64 pieces(int64 all, int64 each) { return all > each ? (all + each - 1) / each : 1; }
};

}  // namespace
}  // namespace thetac
