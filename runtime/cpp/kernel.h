// What a generated kernel includes: the choice of its variant for each tensor, and the loop over chunks and blocks.
//
// Comes in: a launch, and the generated struct `Rule`. Comes out: updated tensors. Must not know any algorithm.
//
// Written without the standard library, of which one header takes longer to compile than most kernels do, and without
// torch's at::vec, which needs torch's headers, and is one object per instruction set of torch's choice: plain loops
// become vector code at every level of the CPU, and round alike on all of them.
#pragma once

#include "blocks.h"
#include "dtypes.h"
#include "elements.h"
#include "float_mode.h"
#include "launch.h"
#include "threads.h"

namespace thetac {
namespace {

// The generated code for one value of the conditions.
template <class Number>
struct KernelVariant {
    void (*update)(Number* const* streams, int64 count, const Number* row);
    Mask loaded, stored;  // streams

    template <class Kernel>
    static KernelVariant of() {
        return {&Kernel::update, Kernel::loaded, Kernel::stored};
    }
};

// Returns the variant for conditions that are known at run time. Those that make no difference, given the others, are
// set to false, so that no variant is compiled twice.
template <class Rule, class Variant, int condition = 0, Mask mask = 0>
Variant variant_for(Mask conditions) {
    if constexpr (condition < Rule::CONDITIONS) {
        constexpr Mask with = mask | Mask(1) << condition;
        return conditions >> condition & 1 ? variant_for<Rule, Variant, condition + 1, with>(conditions)
                                           : variant_for<Rule, Variant, condition + 1, mask>(conditions);
    } else {
        using Kernel = typename Rule::template Kernel<mask & Rule::template Kernel<mask>::relevant_conditions>;
        return Variant::template of<Kernel>();
    }
}

// One launch. `Rule` declares dtypes and sizes, `row_conditions` (those that a scalar row decides) and `Kernel<mask>`.
template <class Rule>
class Step {
public:
    explicit Step(const ThetacLaunch& launch)
        : launch_(launch), change_(launch), chunks_(launch, Rule::STREAMS), shares_(launch, chunks_) {}

    void run() { run_on_threads(launch_, shares_.threads(), &work, this); }

private:
    using Number = typename Rule::Number;

    static void work(void* self) {
        Step& step = *static_cast<Step*>(self);
        const DefaultFloatMode mode;
        step.shares_.for_each([&step](Share& share) { step.update_chunks(share); });
    }

    void update_chunks(Share& share) {
        Mask known = ~Mask(0);
        KernelVariant<Number> variant{};
        for (int64 index = share.take(); index >= 0; index = share.take()) {
            const Chunk chunk = chunks_[index];
            const Number* row = static_cast<const Number*>(launch_.rows) + Rule::ENTRIES * chunk.tensor.row();
            const Mask conditions = launch_.specialisations | Rule::row_conditions(row);
            if (conditions != known) variant = variant_for<Rule, KernelVariant<Number>>(known = conditions);
            update(chunk, variant, row);
        }
    }

    void update(const Chunk& chunk, const KernelVariant<Number>& variant, const Number* row) const {
        Block<Rule> block;
        const int64 end = chunk.first + chunk.count;
        for (int64 first = chunk.first; first < end; first += BLOCK) {
            const int64 count = end - first < BLOCK ? end - first : BLOCK;
            block.load(chunk.tensor, variant.loaded, change_, first, count);
            variant.update(block.streams, count, row);
            block.store(chunk.tensor, variant.stored, first, count);
        }
    }

    const ThetacLaunch& launch_;
    const GradientChange change_;
    const ChunkTable chunks_;
    Shares shares_;
};

}  // namespace
}  // namespace thetac

extern "C" void thetac_step(const ThetacLaunch* launch);  // updates all tensors of a launch; the generated file defines it
