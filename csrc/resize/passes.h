// The two passes over one or two rows, per instruction set. All arithmetic is in integers: every path gives the
// same bits.
#pragma once

#include <cstdint>
#include <vector>

namespace asl::resize {

constexpr int weight_bits = 14;
constexpr std::int64_t row_padding = 32;  // bytes behind a row that `across` may read (their weights are 0)

// Each output is a weighted sum of num_taps neighbours from first[i] on; weight: num_outputs x num_taps, a multiple
// of 4, zeros behind the last real one. num_real: taps that are inside the picture.
struct Taps {
    std::int64_t num_taps = 0;
    std::vector<std::int64_t> first, num_real;
    std::vector<std::int16_t> weight;
};

// out[i] = sum over k of weight[k] * rows[k][i], for num_bytes.
using Down = void (*)(const std::uint8_t* const* rows, const std::int16_t* weight, std::int64_t num_taps,
                      std::int64_t num_bytes, std::uint8_t* out);
// Two rows at a time: RGB pixels of row a and b -> out_a, out_b.
using Across = void (*)(const std::uint8_t* a, const std::uint8_t* b, const Taps& taps, std::uint8_t* out_a,
                        std::uint8_t* out_b);

void down_plain(const std::uint8_t* const* rows, const std::int16_t* weight, std::int64_t num_taps,
                std::int64_t num_bytes, std::uint8_t* out);
void across_plain(const std::uint8_t* a, const std::uint8_t* b, const Taps& taps, std::uint8_t* out_a,
                  std::uint8_t* out_b);
#if defined(__x86_64__)
void down_avx2(const std::uint8_t* const* rows, const std::int16_t* weight, std::int64_t num_taps,
               std::int64_t num_bytes, std::uint8_t* out);
void across_avx2(const std::uint8_t* a, const std::uint8_t* b, const Taps& taps, std::uint8_t* out_a,
                 std::uint8_t* out_b);
#endif

inline std::uint8_t rounded(std::int32_t sum) {
    const std::int32_t level = (sum + (1 << (weight_bits - 1))) >> weight_bits;
    return static_cast<std::uint8_t>(level < 0 ? 0 : level > 255 ? 255 : level);
}

}  // namespace asl::resize
