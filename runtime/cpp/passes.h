// What a generated kernel of several passes includes: sweeps over elements, and tensor programs between them.
//
// Comes in: a launch with a plan, and the generated struct `Rule`. Comes out: updated tensors. Must not know any
// algorithm.
//
// A reduction is a write, and a broadcast a read: both go through the pointers of a block, so the generated loops are
// those of elementwise rules. A tensor's folds and its next program are done by the thread that does its last tile. A
// tensor of one tile waits for no other: its thread does all passes at once, while its elements are in the caches.
#pragma once

#include "kernel.h"
#include "scratch.h"
#include "tensor_program.h"
#include "tile_folds.h"

namespace thetac {
namespace {

// The generated code of one pass for one value of the conditions.
template <class Number>
struct PassCode {
    void (*update)(Number* const* streams, int64 count, const Number* row, const double* numbers);  // null: none
    Mask loaded, stored;  // streams
    Mask read;            // vectors that the sweep reads
    Mask folded;          // folds that are needed
    void (*program)(const ProgramTensor& tensor, const Number* row);  // before the sweep; null: none
};

template <class Number>
struct PassesVariant {
    const PassCode<Number>* passes;
    int grad_pass;  // the first that loads the gradient

    template <class Kernel>
    static PassesVariant of() {
        int pass = 0;
        for (const PassCode<Number>& code : Kernel::passes) {
            if (code.loaded >> GRAD & 1) break;
            ++pass;
        }
        return {Kernel::passes, pass};
    }
};

// One call: some passes of a launch. `Rule` declares what `Step` asks for, `facts` of every pass, `Kernel<mask>::passes`,
// and the vectors and numbers per parameter.
template <class Rule>
class Passes {
public:
    explicit Passes(const ThetacLaunch& launch)
        : launch_(launch),
          plan_(*static_cast<const Plan*>(launch.scratch)),
          change_(launch),
          shares_(launch, TileTable{plan_}),
          tensors_{0, launch.n_tensors, 0},
          end_(int(least(launch.end_pass, N_PASSES))) {}

    void run() {
        for (pass_ = int(launch_.first_pass); pass_ < end_; ++pass_) {
            if (pass_ == launch_.first_pass && has_programs()) run_on_threads(launch_, shares_.threads(), &start, this);
            if (!Rule::facts[pass_].sweeps) continue;
            run_on_threads(launch_, shares_.threads(), &sweep, this);
            if (plan_.n_tiles == launch_.n_tensors) return;
            is_first_sweep_ = false;
            shares_.restart();
        }
    }

private:
    using Number = typename Rule::Number;
    using Variant = PassesVariant<Number>;

    static constexpr int N_PASSES = int(sizeof(Rule::facts) / sizeof(PassFacts));

    // A tensor of the launch, with the code that its scalar row selects.
    struct Tensor {
        TensorEntry entry;
        TensorPlan& plan;
        const Number* row;
        Variant variant;
    };

    struct TileTable {
        const Plan& plan;
        struct Counted {
            int64 count;
        };

        int64 size() const { return plan.n_tiles; }
        // One at least: a tile without elements has to be done as well.
        Counted operator[](int64 index) const { return {plan.tiles[index].elements + 1}; }
    };

    // Whether something has to run before the first sweep of this call.
    bool has_programs() const {
        for (int pass = pass_; pass < end_; ++pass) {
            if (Rule::has_program[pass]) return true;
            if (Rule::facts[pass].sweeps) break;
        }
        return false;
    }

    static void start(void* self) {
        Passes& passes = *static_cast<Passes*>(self);
        const DefaultFloatMode mode;
        Mask known = ~Mask(0);
        Variant variant{};
        for (int64 index = passes.tensors_.take(); index >= 0; index = passes.tensors_.take())
            if (!passes.plan_.tensors[index].is_local())
                passes.run_programs(passes.tensor(index, known, variant), passes.pass_);
    }

    static void sweep(void* self) {
        Passes& passes = *static_cast<Passes*>(self);
        const DefaultFloatMode mode;
        passes.shares_.for_each([&passes](Share& share) { passes.sweep_tiles(share); });
    }

    void sweep_tiles(Share& share) {
        Mask known = ~Mask(0);
        Variant variant{};
        Local local;
        for (int64 index = share.take(); index >= 0; index = share.take()) {
            const int64 owner = plan_.tiles[index].tensor;
            if (plan_.tensors[owner].tiling.tiles == 1) {
                if (is_first_sweep_) run_alone(tensor(owner, known, variant), local);
                continue;
            }
            const Tensor found = tensor(owner, known, variant);
            sweep_tile(found, index - found.plan.first_tile, pass_);
            if (__atomic_sub_fetch(&found.plan.unfinished, 1, __ATOMIC_ACQ_REL) != 0) continue;
            found.plan.unfinished = found.plan.tiling.tiles;
            finish_sweep(found, pass_);
        }
    }

    // All passes of a tensor of one tile.
    void run_alone(const Tensor& found, Local& local) const {
        const bool is_local = found.plan.is_local();
        const Tensor tensor{found.entry, is_local ? local.give<Rule>(found.plan) : found.plan, found.row, found.variant};
        if (is_local) run_programs(tensor, int(launch_.first_pass));
        for (int pass = pass_; pass < end_; ++pass) {
            if (!Rule::facts[pass].sweeps) continue;
            sweep_tile(tensor, 0, pass);
            finish_sweep(tensor, pass);
        }
    }

    // After all tiles of a tensor.
    void finish_sweep(const Tensor& tensor, int pass) const {
        folds_of(tensor, pass).finish_tensor();
        run_programs(tensor, pass + 1);
    }

    Tensor tensor(int64 index, Mask& known, Variant& variant) const {
        const TensorEntry entry{launch_.tensors + (THETAC_HEADER + Rule::COLUMNS) * index};
        const Number* row = static_cast<const Number*>(launch_.rows) + Rule::ENTRIES * entry.row();
        const Mask conditions = launch_.specialisations | Rule::row_conditions(row);
        if (conditions != known) variant = variant_for<Rule, Variant>(known = conditions);
        return {entry, plan_.tensors[index], row, variant};
    }

    // Runs the programs from a pass to the next sweep.
    void run_programs(const Tensor& tensor, int pass) const {
        for (; pass < end_; ++pass) {
            const auto program = tensor.variant.passes[pass].program;
            if (program != nullptr) program(ProgramTensor(tensor.entry, tensor.plan), tensor.row);
            if (Rule::facts[pass].sweeps) break;
        }
    }

    void sweep_tile(const Tensor& tensor, int64 index, int pass) const {
        const PassFacts& facts = Rule::facts[pass];
        const PassCode<Number>& code = tensor.variant.passes[pass];
        const GradientChange change = pass > tensor.variant.grad_pass ? change_.left_for_later_passes() : change_;
        const Tiling& tiling = tensor.plan.tiling;
        const Tile tile = tiling[index];
        const Folds folds = folds_of(tensor, pass);
        Block<Rule, Rule::FURTHER> block;
        alignas(64) Number further[Rule::FURTHER + 1][BLOCK];
        FoldTree trees[most_folds<Rule>(Extent::PARAMETER) + 1];
        folds.start(tile);
        for (int i = 0; i < Rule::FURTHER; ++i) block.streams[Rule::STREAMS + i] = further[i];
        for (int64 row = tile.first_row; row < tile.end_row; row += tiling.block_rows) {
            const int64 rows = least(tile.end_row - row, tiling.block_rows);
            for (int64 column = tile.first_column; column < tile.end_column; column += tiling.block_columns) {
                const Piece piece{row, rows, column, least(tile.end_column - column, tiling.block_columns)};
                const int64 first = row * tiling.shape.columns + column, count = rows * piece.columns;
                block.load(tensor.entry, code.loaded, change, first, count);
                for (int i = 0; i < facts.n_vectors; ++i) {
                    if (!(code.read >> i & 1)) continue;
                    const Extent extent = Rule::vectors[facts.vectors[i]];
                    broadcast(extent, tensor.plan.vectors[facts.vectors[i]], tiling.shape, piece, further[i]);
                }
                if (code.update != nullptr) code.update(block.streams, count, tensor.row, tensor.plan.numbers);
                block.store(tensor.entry, code.stored, first, count);
                folds.add(block.streams, tile, piece, trees);
            }
        }
        folds.finish(index, trees);
    }

    Folds folds_of(const Tensor& tensor, int pass) const {
        return Folds(Rule::facts[pass], tensor.variant.passes[pass].folded, tensor.plan);
    }

    const ThetacLaunch& launch_;
    const Plan& plan_;
    const GradientChange change_;
    Shares shares_;
    Share tensors_;
    const int end_;
    int pass_ = 0;
    bool is_first_sweep_ = true;
};

}  // namespace
}  // namespace thetac

// Returns the bytes of scratch memory that a launch needs; fills that memory if the launch has it.
extern "C" __INT64_TYPE__ thetac_prepare(const ThetacLaunch* launch);

// Writes what each tensor adds to the totals over all parameters: [totals][tensors]. Only kernels of rules with totals
// define it.
extern "C" void thetac_terms(const ThetacLaunch* launch, double* terms);
