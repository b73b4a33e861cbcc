// What generated C++ kernels share: the interface to the runtime, dtypes of storage, operations whose rounding or
// treatment of NaN needs care, and the loop over chunks. docs/cpp.md says why it is as it is.
//
// Comes in: a `Rule` (see `step` below) from the generated file. Must not know any algorithm. Includes nothing: a
// header of the standard library takes longer to compile than most kernels.
#pragma once

// The interface. Every field has 8 bytes; docs/architecture.md has the layout of the tables.
struct ThetacLaunch {
    const __INT64_TYPE__* tensors;  // [n][3 + streams]: elements, row, all addresses on 16 bytes, one address per stream
    const __INT32_TYPE__* chunks;   // [n_chunks][2]: index of the tensor, number of the chunk within it
    __INT64_TYPE__ n_chunks;
    const void* rows;  // [rows][entries]: float, or double for float64 parameters
    __UINT64_TYPE__ specialisations;  // bit i: the i-th specialisation holds
    double grad_scale;                // the gradient is divided by it first; 1: it is not
    double clip;                      // and then multiplied by it; 1: it is not
    __INT64_TYPE__ write_back;        // whether the quotient (not the product) is stored in the gradient
    __INT64_TYPE__ threads;           // at most so many
    void* parallel;  // GOMP_parallel of the process's OpenMP runtime; null: everything on the caller's thread
};

extern "C" {
extern const __INT64_TYPE__ thetac_abi;    // the version of this interface
extern const __INT64_TYPE__ thetac_chunk;  // elements per chunk
void thetac_step(const ThetacLaunch* launch);
}
