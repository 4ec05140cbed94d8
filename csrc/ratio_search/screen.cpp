#include "screen.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace asl::ratio_search {

const Screen* const kScreens[] = {
#if defined(__x86_64__)
    &kScreenAmx,
    &kScreenAvx512Vnni,
    &kScreenAvxVnni,
    &kScreenAvx2,
#elif defined(__aarch64__)
    &kScreenNeon,
#endif
    &kScreenPlain,
    nullptr,
};

PanelBound interleave_refs(const Screen& screen, int count, std::int64_t num_dims, std::int8_t* code,
                           const float* inverse_scale, const float* residual, std::int32_t* start) {
    const std::int64_t padded = screen.padded(num_dims);
    const std::vector<std::int8_t> line(code, code + padded * screen.num_refs);
    PanelBound bound;
    for (int i = 0; i < screen.num_refs; ++i) {
        const std::int8_t* const from = line.data() + i * padded;
        for (std::int64_t d = 0; d < padded; d += 4) std::memcpy(code + d * screen.num_refs + 4 * i, from + d, 4);
        start[i] = 0;
        if (i >= count) continue;
        const CodeSums sums = sums_of(from, num_dims, inverse_scale[i]);
        start[i] = -screen.query_offset * sums.sum;
        bound.length = std::max(bound.length, sums.length);
        bound.residual = std::max(bound.residual, residual_in_codes(residual[i], inverse_scale[i]));
    }
    return bound;
}

void place_query(const Screen& screen, const std::int8_t* line, int i, int count, std::int64_t padded_dims,
                 std::int64_t chunk_dims, std::int8_t* code) {
    const int height = screen.panel_rows(count);
    for (std::int64_t first = 0; first < padded_dims; first += chunk_dims) {
        const std::int64_t length = std::min(chunk_dims, padded_dims - first);
        std::int8_t* const chunk = code + first * height;
        const std::int8_t* const from = line + first;
        if (screen.row_major) {
            std::copy_n(from, length, chunk + i * length);
        } else {
            for (std::int64_t d = 0; d < length; d += 4) std::copy_n(from + d, 4, chunk + d * height + 4 * i);
        }
    }
}

void encode_queries(const Screen& screen, const float* const* row, const double* row_norm, int count, std::int64_t num_dims,
                    std::int64_t chunk_dims, std::int8_t* code, std::int8_t* line, CodedRow* coded) {
    const std::int64_t padded = screen.padded(num_dims);
    std::fill_n(code, padded * screen.panel_rows(count), std::int8_t{0});
    for (int i = 0; i < count; ++i, line += padded) {
        coded[i] = encode(row[i], row_norm[i], num_dims, screen.max_query_code, line);
        std::fill(line + num_dims, line + padded, std::int8_t{0});
        // Padding too gets the offset: the reference's code there is zero.
        for (std::int64_t d = 0; d < padded; ++d) line[d] = static_cast<std::int8_t>(line[d] + screen.query_offset);
        place_query(screen, line, i, count, padded, chunk_dims, code);
    }
}

}  // namespace asl::ratio_search
