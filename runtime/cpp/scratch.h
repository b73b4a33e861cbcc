// The memory of a launch that computes numbers per parameter, row and column: where each of them is.
//
// Comes in: a launch, and what the generated struct `Rule` says of its numbers, vectors and folds. Comes out: a `Plan`,
// written once into memory that the runtime owns, and read in every step. Small tensors have no memory in it: the thread
// that does all their passes has it on its stack. Must not know what the numbers mean.
#pragma once

#include "fold.h"
#include "tiles.h"

namespace thetac {
namespace {

// What there is one number of: parameters, matrices, rows or columns of all matrices.
enum class Extent { PARAMETER, MATRIX, ROW, COLUMN };

inline int64 count_of(Extent extent, const Shape& shape) {
    switch (extent) {
        case Extent::MATRIX: return shape.batch;
        case Extent::ROW: return shape.all_rows();
        case Extent::COLUMN: return shape.all_columns();
        default: return 1;
    }
}

// A reduction that a sweep ends with.
struct Fold {
    FoldOp op;
    Extent extent;
    int operand;  // which of the sweep's pointers leads to its terms
    int target;   // index of the number, or of the vector
};

// What is the same for every value of the conditions: what a sweep reads beside the streams, and its folds.
struct PassFacts {
    bool sweeps;         // else it is a tensor program only
    const int* vectors;  // indices of those that the sweep reads, in the order of its pointers
    int n_vectors;
    const Fold* folds;
    int n_folds;
};

// The most folds of some kind that a pass has.
template <class Rule>
constexpr int most_folds(Extent extent) {
    int most = 0;
    for (const PassFacts& pass : Rule::facts) {
        int found = 0;
        for (int i = 0; i < pass.n_folds; ++i) found += pass.folds[i].extent == extent;
        most = found > most ? found : most;
    }
    return most;
}

// A tensor: its tiles, and the memory of its numbers.
struct TensorPlan {
    Tiling tiling;
    int64 first_tile;
    int64 unfinished;  // tiles of the current pass
    double* numbers;   // null: there is no memory but on a thread's stack, see `Local`
    double** vectors;
    // Of the folds that a pass has of each extent: results of single tiles, where these are not the fold itself.
    double* of_tiles;    // [folds][tiles]
    double* of_rows;     // [folds][column tiles][rows]; those of matrices are the first, then those of rows
    double* of_columns;  // [folds][row tiles][columns]

    bool is_local() const { return numbers == nullptr; }
    bool rows_are_in_place() const { return tiling.column_tiles == 1; }
    bool columns_are_in_place() const { return tiling.row_tiles == 1; }
};

struct TileEntry {
    int32 tensor, elements;
};

struct Plan {
    int64 n_tiles;
    TensorPlan* tensors;
    TileEntry* tiles;
};

// Hands out memory; without memory, it only counts.
class Arena {
public:
    explicit Arena(void* memory) : memory_(static_cast<char*>(memory)) {}

    template <class Value>
    Value* take(int64 count) {
        char* found = memory_ == nullptr ? nullptr : memory_ + used_;
        used_ += (count * int64(sizeof(Value)) + LINE - 1) / LINE * LINE;
        return reinterpret_cast<Value*>(found);
    }

    int64 used() const { return used_; }

private:
    static constexpr int64 LINE = 64;  // bytes: no two arrays share a line of the caches

    char* const memory_;
    int64 used_ = 0;
};

// Returns the shape of a tensor; it is one row where a rule has no numbers per row or column.
inline Shape shape_of(const ThetacLaunch& launch, int64 tensor, bool has_axes) {
    const int64* const sizes = launch.shapes + 3 * tensor;
    return has_axes ? Shape{sizes[0], sizes[1], sizes[2]} : Shape{1, 1, sizes[0] * sizes[1] * sizes[2]};
}

// Takes the memory of a tensor's numbers, vectors and folds.
template <class Rule>
void take_numbers(Arena& arena, TensorPlan& tensor) {
    const Tiling& tiling = tensor.tiling;
    tensor.numbers = arena.take<double>(Rule::NUMBERS);
    tensor.vectors = arena.take<double*>(Rule::VECTORS);
    for (int vector = 0; vector < Rule::VECTORS; ++vector) {
        double* const memory = arena.take<double>(count_of(Rule::vectors[vector], tiling.shape));
        if (tensor.vectors != nullptr) tensor.vectors[vector] = memory;
    }
    tensor.of_tiles = arena.take<double>(most_folds<Rule>(Extent::PARAMETER) * tiling.tiles);
    const int64 of_matrices = most_folds<Rule>(Extent::MATRIX);
    const int64 of_rows = tensor.rows_are_in_place() ? 0 : most_folds<Rule>(Extent::ROW);
    const int64 of_columns = tensor.columns_are_in_place() ? 0 : most_folds<Rule>(Extent::COLUMN);
    tensor.of_rows = arena.take<double>((of_matrices + of_rows) * tiling.column_tiles * tiling.shape.all_rows());
    tensor.of_columns = arena.take<double>(of_columns * tiling.row_tiles * tiling.shape.all_columns());
}

// Whether kernels of a rule wait for totals over all parameters, for which numbers are kept from call to call.
template <class Rule, class = void>
constexpr bool waits = false;
template <class Rule>
constexpr bool waits<Rule, decltype(void(Rule::terms))> = true;

// The memory of a small tensor, of one tile, on the stack of the thread that does all its passes.
class Local {
public:
    // Whether a tensor has its memory here.
    template <class Rule>
    static bool fits(TensorPlan tensor) {
        if (waits<Rule> || tensor.tiling.tiles > 1) return false;
        Arena counting(nullptr);
        take_numbers<Rule>(counting, tensor);
        return counting.used() <= BYTES;
    }

    template <class Rule>
    TensorPlan& give(const TensorPlan& tensor) {
        Arena arena(memory_);
        plan_ = tensor;
        take_numbers<Rule>(arena, plan_);
        return plan_;
    }

private:
    static constexpr int64 BYTES = 8192;

    TensorPlan plan_{Tiling(Shape{0, 0, 0}), 0, 0, nullptr, nullptr, nullptr, nullptr, nullptr};
    alignas(64) char memory_[BYTES];
};

// Returns the bytes that a launch needs; writes the plan to `launch.scratch` if that is given.
template <class Rule>
int64 prepare(const ThetacLaunch& launch) {
    Arena arena(launch.scratch);
    Plan* const plan = arena.take<Plan>(1);
    TensorPlan* const tensors = arena.take<TensorPlan>(launch.n_tensors);
    int64 n_tiles = 0;
    for (int64 i = 0; i < launch.n_tensors; ++i) {
        const Tiling tiling(shape_of(launch, i, Rule::HAS_AXES));
        TensorPlan tensor{tiling, n_tiles, tiling.tiles, nullptr, nullptr, nullptr, nullptr, nullptr};
        n_tiles += tiling.tiles;
        if (!Local::fits<Rule>(tensor)) take_numbers<Rule>(arena, tensor);
        if (tensors != nullptr) tensors[i] = tensor;
    }
    TileEntry* const tiles = arena.take<TileEntry>(n_tiles);
    if (launch.scratch != nullptr) {
        *plan = {n_tiles, tensors, tiles};
        for (int64 i = 0; i < launch.n_tensors; ++i)
            for (int64 tile = 0; tile < tensors[i].tiling.tiles; ++tile)
                tiles[tensors[i].first_tile + tile] = {int32(i), int32(tensors[i].tiling[tile].elements())};
    }
    return arena.used();
}

// Copies what the tensors add to totals over all parameters, once the passes that compute it are done.
template <class Rule>
void copy_terms(const ThetacLaunch& launch, double* terms) {
    const TensorPlan* const tensors = static_cast<const Plan*>(launch.scratch)->tensors;
    for (const int number : Rule::terms)
        for (int64 i = 0; i < launch.n_tensors; ++i) *terms++ = tensors[i].numbers[number];
}

}  // namespace
}  // namespace thetac
