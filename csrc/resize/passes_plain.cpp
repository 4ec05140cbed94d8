#include "passes.h"

namespace asl::resize {

void down_plain(const std::uint8_t* const* rows, const std::int16_t* weight, std::int64_t num_taps,
                std::int64_t num_bytes, std::uint8_t* out) {
    constexpr std::int64_t block = 64;  // sums that stay in registers or the first cache
    for (std::int64_t start = 0; start < num_bytes; start += block) {
        const std::int64_t count = num_bytes - start < block ? num_bytes - start : block;
        std::int32_t sum[block] = {};
        for (std::int64_t k = 0; k < num_taps; ++k) {
            const std::uint8_t* const row = rows[k] + start;
            for (std::int64_t i = 0; i < count; ++i) sum[i] += weight[k] * row[i];
        }
        for (std::int64_t i = 0; i < count; ++i) out[start + i] = rounded(sum[i]);
    }
}

void across_plain(const std::uint8_t* a, const std::uint8_t* b, const Taps& taps, std::uint8_t* out_a,
                  std::uint8_t* out_b) {
    const std::int16_t* weight = taps.weight.data();
    for (std::size_t x = 0; x < taps.first.size(); ++x, weight += taps.num_taps) {
        const std::int64_t from = 3 * taps.first[x];
        std::int32_t sum[6] = {};
        for (std::int64_t k = 0; k < taps.num_real[x]; ++k) {
            for (int c = 0; c < 3; ++c) {
                sum[c] += weight[k] * a[from + 3 * k + c];
                sum[3 + c] += weight[k] * b[from + 3 * k + c];
            }
        }
        for (int c = 0; c < 3; ++c) {
            out_a[3 * x + c] = rounded(sum[c]);
            out_b[3 * x + c] = rounded(sum[3 + c]);
        }
    }
}

}  // namespace asl::resize
