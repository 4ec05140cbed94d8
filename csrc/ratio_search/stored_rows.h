// Reference rows as the caller keeps them: in memory or in a map of a file, in one of four number types.
// Every use of a row goes through float32, which holds all but f64 exactly.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "../common/mapped.h"
#include "numbers.h"

namespace asl::ratio_search {

void as_floats(const void* value, Number number, std::int64_t count, float* out);

// Borrowed: it must outlive whatever is made from it.
struct StoredRows {
    const void* value = nullptr;  // row-major, finite, no all-zero row
    Number number = Number::f32;
    std::int64_t num_rows = 0;
    std::int64_t num_dims = 0;
    const double* row_norm = nullptr;  // sqrt(dot(x, x)): the score's
    const double* norm = nullptr;      // the predicate's: the same, or another network's
    bool on_gpu = false;               // an address of the GPU that searches: nothing here may read it
    std::uintptr_t stream = 0;         // CUDA's, of work that the rows on a GPU have to wait for

    std::int64_t row_bytes() const { return num_dims * size_of(number); }
    std::int64_t num_bytes() const { return num_rows * row_bytes(); }
    const std::byte* stored(std::int64_t row) const { return static_cast<const std::byte*>(value) + row * row_bytes(); }
    // The row where it lies, or converted into `space` (num_dims).
    const float* floats(std::int64_t row, float* space) const { return as_floats_at(stored(row), space); }
    const float* as_floats_at(const void* values, float* space) const {
        if (number == Number::f32) return static_cast<const float*>(values);
        as_floats(values, number, num_dims, space);
        return space;
    }
};

// int8 codes of stored rows (codes.h), in their order.
struct StoredCodes {
    const std::int8_t* code = nullptr;     // row-major
    const float* inverse_scale = nullptr;  // above 0
    const float* residual = nullptr;       // at least 0
};

// Blocks that together are all rows, from front to back as far as many threads at once go.
void in_blocks(const StoredRows& rows, int num_threads, const std::function<void(std::int64_t first, std::int64_t count)>& use);

// The same with the rows first ... first + count - 1, one after the other as float32. Pages of a file are handed
// back once their block has been used.
using UseBlock = std::function<void(std::int64_t first, std::int64_t count, const float* block)>;
void read_blocks(const StoredRows& rows, const MappedPages& pages, int num_threads, const UseBlock& use);

}  // namespace asl::ratio_search
