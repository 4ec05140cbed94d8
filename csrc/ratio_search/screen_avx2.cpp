// AVX2: 4 x 16 dots. vpmaddubsw adds pairs of products with saturation at 16 bits: query codes of seven bits
// (0 to 126 with their offset) keep every pair within 2 * 126 * 127 < 2^15.
#include <immintrin.h>

#include <cstdint>

namespace asl::ratio_search {
namespace {

struct Vec {
    static constexpr int kWidth = 8;
    __m256i lanes;

    static Vec load(const void* at) { return {_mm256_load_si256(static_cast<const __m256i*>(at))}; }
    static Vec broadcast(const std::int8_t* code) {
        int four;
        __builtin_memcpy(&four, code, sizeof four);
        return {_mm256_set1_epi32(four)};
    }
    static Vec dot(Vec sum, Vec query, Vec ref) {
        const __m256i pairs = _mm256_maddubs_epi16(query.lanes, ref.lanes);
        return {_mm256_add_epi32(sum.lanes, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))};
    }
    std::uint32_t reaches(float slope, const float* inverse_scale, float drop) const {
        const __m256 needed = _mm256_fmsub_ps(_mm256_set1_ps(slope), _mm256_load_ps(inverse_scale), _mm256_set1_ps(drop));
        return static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(_mm256_cvtepi32_ps(lanes), needed, _CMP_GE_OQ)));
    }
    void store(std::int32_t* at) const { _mm256_store_si256(reinterpret_cast<__m256i*>(at), lanes); }
};

constexpr int kQueries = 5;
constexpr int kRefRegisters = 2;

}  // namespace
}  // namespace asl::ratio_search

#include "screen.inl"

namespace asl::ratio_search {

constinit const Screen kScreenAvx2 =
    make_screen("avx2", [](const CpuFeatures& cpu) { return cpu.avx2 && cpu.fma; }, 63, 63);

}  // namespace asl::ratio_search
