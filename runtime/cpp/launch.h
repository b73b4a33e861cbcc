// The interface between the runtime and an object, and the tables that a launch hands over.
//
// Comes in: `ThetacLaunch`, filled by runtime/implementations/launch_cpp.py. Must not know what is computed.
#pragma once

#include "elements.h"

// Every field has 8 bytes. docs/architecture.md describes the layout of the tables; THETAC_HEADER is given on the
// compiler's command line.
struct ThetacLaunch {
    const __INT64_TYPE__* tensors;    // [n][THETAC_HEADER + streams]: see TensorEntry
    const __INT32_TYPE__* chunks;     // [n_chunks][2]: index of the tensor, index of the chunk within it
    __INT64_TYPE__ n_chunks;
    const void* rows;                 // [rows][entries]: float, or double for float64 parameters
    __UINT64_TYPE__ specialisations;  // bit i: the i-th specialisation holds
    double grad_scale;                // the gradient is first divided by it; 1: unchanged
    double clip;                      // and then multiplied by it; 1: unchanged
    __INT64_TYPE__ write_back;        // whether the quotient (not the product) is stored in the gradient
    __INT64_TYPE__ threads;           // upper bound on the number of threads
    void* parallel;                   // GOMP_parallel of the process's OpenMP runtime; null: use the caller's thread only
    void* thread_number;              // omp_get_thread_num of the same runtime
    // What follows is read by kernels of several passes only.
    __INT64_TYPE__ n_tensors;
    const __INT64_TYPE__* shapes;     // [n][3]: matrices, rows of each, columns
    void* scratch;                    // memory that `thetac_prepare` has asked for and filled; aligned to 64 bytes
    __INT64_TYPE__ first_pass;        // the passes of this call
    __INT64_TYPE__ end_pass;          // the one after the last of them
};

namespace thetac {
namespace {

constexpr int64 CHUNK = 32768;  // elements that a thread takes at once
constexpr int GRAD = 1;         // the gradient among the streams; 0 is the parameter

// One row of the address table; its columns are those of runtime/implementations/tables.py.
struct TensorEntry {
    const int64* columns;

    int64 elements() const { return columns[0]; }
    int64 row() const { return columns[1]; }  // index of its scalar row
    void* storage(int stream) const { return reinterpret_cast<void*>(columns[THETAC_HEADER + stream]); }
};

// One chunk: some elements of one tensor.
struct Chunk {
    TensorEntry tensor;
    int64 first, count;
};

// The tables of tensors and of chunks; `streams` is the number of addresses per tensor.
class ChunkTable {
public:
    ChunkTable(const ThetacLaunch& launch, int64 streams) : launch_(launch), columns_(THETAC_HEADER + streams) {}

    int64 size() const { return launch_.n_chunks; }

    Chunk operator[](int64 index) const {
        const int32* entry = launch_.chunks + 2 * index;
        const TensorEntry tensor{launch_.tensors + columns_ * entry[0]};
        const int64 first = CHUNK * entry[1], left = tensor.elements() - first;
        return {tensor, first, left < CHUNK ? left : CHUNK};
    }

private:
    const ThetacLaunch& launch_;
    const int64 columns_;
};

}  // namespace
}  // namespace thetac

// What every object exports besides its function.
extern "C" {
extern const __INT64_TYPE__ thetac_abi = 2;  // the version of this interface
extern const __INT64_TYPE__ thetac_chunk = thetac::CHUNK;
}
