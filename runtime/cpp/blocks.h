// Blocks: the elements that a kernel computes at once, and where it finds their streams.
//
// Comes in: a tensor's entry in the table, and which of its streams are loaded and stored. Comes out: one pointer per
// stream, to values in the dtype of the arithmetic. Must not know any algorithm.
#pragma once

#include "dtypes.h"
#include "launch.h"

namespace thetac {
namespace {

constexpr int64 BLOCK = 512;  // elements that go through buffers together

static_assert(CHUNK % BLOCK == 0);  // the boundaries of blocks do not depend on those of chunks

// How one stream is read from storage and written back.
template <class Number>
struct Access {
    bool direct;  // storage has the dtype of the arithmetic: no buffer is needed
    void (*read)(const void* from, int64 first, int64 count, Number* numbers);
    void (*write)(const Number* numbers, void* to, int64 first, int64 count);
};

template <class Number, class Dtype>
constexpr Access<Number> access_of() {
    return {same<typename Dtype::Storage, Number>, &read<Dtype, Number>, &write<Dtype, Number>};
}

// Unscales and clips a gradient in its buffer, before a kernel reads it.
struct GradientChange {
    double divisor, factor;  // 1: none
    bool write_back;         // the quotient is stored

    explicit GradientChange(const ThetacLaunch& launch)
        : divisor(launch.grad_scale), factor(launch.clip), write_back(launch.write_back != 0) {}

    bool is_none() const { return divisor == 1 && factor == 1; }

    // Returns what is left to do where an earlier pass has loaded the gradient and done this.
    GradientChange left_for_later_passes() const {
        GradientChange left = *this;
        if (write_back) left.divisor = 1;
        left.write_back = false;
        return left;
    }

    template <class Number>
    void apply(const Access<Number>& access, void* storage, int64 first, int64 count, Number* grad) const {
        if (divisor != 1) {
            for (int64 i = 0; i < count; ++i) grad[i] /= Number(divisor);
            if (write_back) access.write(grad, storage, first, count);
        }
        if (factor != 1)
            for (int64 i = 0; i < count; ++i) grad[i] *= Number(factor);
    }
};

// The streams of one block. A stream stored in the dtype of the arithmetic is used in place, any other in a buffer.
// After the streams there is place for `FURTHER` pointers.
template <class Rule, int FURTHER = 0>
class Block {
    using Number = typename Rule::Number;

public:
    Number* streams[Rule::STREAMS + FURTHER];

    // Points the streams to elements of a tensor; reads those in the mask `loaded` into their buffers.
    void load(const TensorEntry& tensor, Mask loaded, const GradientChange& change, int64 first, int64 count) {
        const bool changes = !change.is_none() && (loaded >> GRAD & 1);
        for (int s = 0; s < Rule::STREAMS; ++s) {
            const bool direct = Rule::access[s].direct && !(s == GRAD && changes);
            streams[s] = direct ? static_cast<Number*>(tensor.storage(s)) + first : buffers_[s];
            if (!direct && loaded >> s & 1) Rule::access[s].read(tensor.storage(s), first, count, buffers_[s]);
        }
        if (changes) change.apply(Rule::access[GRAD], tensor.storage(GRAD), first, count, streams[GRAD]);
    }

    // Writes the buffers of the streams in the mask `stored` to storage.
    void store(const TensorEntry& tensor, Mask stored, int64 first, int64 count) const {
        for (int s = 0; s < Rule::STREAMS; ++s)
            if (streams[s] == buffers_[s] && stored >> s & 1)
                Rule::access[s].write(buffers_[s], tensor.storage(s), first, count);
    }

private:
    alignas(64) Number buffers_[Rule::STREAMS][BLOCK];
};

}  // namespace
}  // namespace thetac
