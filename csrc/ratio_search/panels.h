// Codes of rows as the screen reads them: panels of screen.num_refs rows, interleaved for one instruction set.
#pragma once

#include <algorithm>
#include <vector>

#include "../common/aligned.h"
#include "screen.h"

namespace asl::ratio_search {

struct Panels {
    const Screen& screen;
    std::int64_t num_rows;
    std::int64_t num_dims;
    std::int64_t num_panels;
    std::int64_t padded_dims;
    std::int64_t chunk_dims;    // of a chunk that stays in the L1 cache; the last one may be shorter
    Aligned<std::int8_t> code;  // num_panels x padded_dims x screen.num_refs; row-major until interleaved
    Aligned<float> inverse_scale;
    Aligned<std::int32_t> start;
    std::vector<PanelBound> bound;  // one a panel
    float longest = 0;              // the largest length of all

    // Rows beyond num_rows and dimensions beyond num_dims are zeros; the others are for the caller to fill in.
    Panels(const Screen& chosen, std::int64_t rows, std::int64_t dims);

    // A row, before the panels are interleaved.
    std::int8_t* row(std::int64_t position) { return code.data() + position * padded_dims; }
    const std::int8_t* row(std::int64_t position) const { return code.data() + position * padded_dims; }

    // residual: one a row.
    void interleave(const float* residual, int num_threads);

    // The panel from its first_dim on.
    RefPanel panel(std::int64_t index, std::int64_t first_dim) const {
        const std::int64_t first = index * screen.num_refs;
        return {code.data() + first * padded_dims + first_dim * screen.num_refs, inverse_scale.data() + first,
                start.data() + first, bound[static_cast<std::size_t>(index)].residual};
    }

    // use(first dimension, number of dimensions, which chunk it is) for each chunk in turn.
    template <typename Use>
    void in_chunks(const Use& use) const {
        for (std::int64_t first = 0; first < padded_dims; first += chunk_dims) {
            const std::int64_t length = std::min(chunk_dims, padded_dims - first);
            const bool last = first + length == padded_dims;
            use(first, length, first == 0 ? (last ? Chunk::only : Chunk::first) : (last ? Chunk::last : Chunk::middle));
        }
    }
};

}  // namespace asl::ratio_search
