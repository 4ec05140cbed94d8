#include <immintrin.h>

#include <cstring>

#include "passes.h"

namespace asl::resize {

namespace {

// Weights k and k + 1 in every pair of 16-bit lanes, as vpmaddwd wants them.
__m256i pair_of(const std::int16_t* weight) {
    std::int32_t pair;
    std::memcpy(&pair, weight, sizeof pair);
    return _mm256_set1_epi32(pair);
}

__m256i shifted(__m256i sum) {
    return _mm256_srai_epi32(_mm256_add_epi32(sum, _mm256_set1_epi32(1 << (weight_bits - 1))), weight_bits);
}

__m256i load(const std::uint8_t* at) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)); }

}  // namespace

void down_avx2(const std::uint8_t* const* rows, const std::int16_t* weight, std::int64_t num_taps,
               std::int64_t num_bytes, std::uint8_t* out) {
    if (num_bytes < 32) return down_plain(rows, weight, num_taps, num_bytes, out);
    const __m256i zero = _mm256_setzero_si256();
    for (std::int64_t next = 0; next < num_bytes; next += 32) {
        const std::int64_t at = next + 32 <= num_bytes ? next : num_bytes - 32;  // the last overlaps the one before
        __m256i sum0 = zero, sum1 = zero, sum2 = zero, sum3 = zero;
        for (std::int64_t k = 0; k < num_taps; k += 2) {
            const __m256i a = load(rows[k] + at), b = load(rows[k + 1] + at), w = pair_of(weight + k);
            const __m256i low = _mm256_unpacklo_epi8(a, b), high = _mm256_unpackhi_epi8(a, b);
            sum0 = _mm256_add_epi32(sum0, _mm256_madd_epi16(_mm256_unpacklo_epi8(low, zero), w));
            sum1 = _mm256_add_epi32(sum1, _mm256_madd_epi16(_mm256_unpackhi_epi8(low, zero), w));
            sum2 = _mm256_add_epi32(sum2, _mm256_madd_epi16(_mm256_unpacklo_epi8(high, zero), w));
            sum3 = _mm256_add_epi32(sum3, _mm256_madd_epi16(_mm256_unpackhi_epi8(high, zero), w));
        }
        const __m256i level = _mm256_packus_epi16(_mm256_packs_epi32(shifted(sum0), shifted(sum1)),
                                                  _mm256_packs_epi32(shifted(sum2), shifted(sum3)));
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + at), level);
    }
}

// Row a lives in the low half of a register, row b in the high one. Four pixels are 12 bytes of a 16-byte load.
void across_avx2(const std::uint8_t* a, const std::uint8_t* b, const Taps& taps, std::uint8_t* out_a,
                 std::uint8_t* out_b) {
    if (taps.first.size() < 4) return across_plain(a, b, taps, out_a, out_b);
    const __m256i first_two = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1));
    const __m256i last_two = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1));
    const auto sum_of = [&](std::size_t x) {  // red, green, blue, 0 of both rows
        const std::int64_t from = 3 * taps.first[x];
        const std::int16_t* const weight = taps.weight.data() + static_cast<std::int64_t>(x) * taps.num_taps;
        __m256i sum0 = _mm256_setzero_si256(), sum1 = sum0;
        for (std::int64_t k = 0; k < taps.num_real[x]; k += 4) {  // behind the real ones: weight 0
            const __m256i pixels = _mm256_inserti128_si256(
                _mm256_castsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(a + from + 3 * k))),
                _mm_loadu_si128(reinterpret_cast<const __m128i*>(b + from + 3 * k)), 1);
            sum0 = _mm256_add_epi32(
                sum0, _mm256_madd_epi16(_mm256_shuffle_epi8(pixels, first_two), pair_of(weight + k)));
            sum1 = _mm256_add_epi32(
                sum1, _mm256_madd_epi16(_mm256_shuffle_epi8(pixels, last_two), pair_of(weight + k + 2)));
        }
        return shifted(_mm256_add_epi32(sum0, sum1));
    };
    const __m256i close_up = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1));
    const std::size_t num_out = taps.first.size();
    for (std::size_t x = 0; x < num_out; x += 4) {  // four pixels are 12 bytes; the last four may overlap those before
        const std::size_t at = x + 4 <= num_out ? x : num_out - 4;
        const __m256i level = _mm256_shuffle_epi8(
            _mm256_packus_epi16(_mm256_packs_epi32(sum_of(at), sum_of(at + 1)),
                                _mm256_packs_epi32(sum_of(at + 2), sum_of(at + 3))),
            close_up);
        const __m128i halves[2] = {_mm256_castsi256_si128(level), _mm256_extracti128_si256(level, 1)};
        std::memcpy(out_a + 3 * at, &halves[0], 12);
        std::memcpy(out_b + 3 * at, &halves[1], 12);
    }
}

}  // namespace asl::resize
