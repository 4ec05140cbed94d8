// AVX-512 VNNI: 14 x 32 dots in 28 registers, two for the references and one for the query.
#include <immintrin.h>

#include <cstdint>

namespace asl::ratio_search {
namespace {

// Not _mm512_cvtepi32_ps: GCC 12 warns of its header.
inline __m512 as_floats(__m512i whole) {
    typedef std::int32_t Int16 __attribute__((vector_size(64)));
    return __builtin_convertvector(reinterpret_cast<Int16>(whole), __m512);
}

struct Vec {
    static constexpr int kWidth = 16;
    __m512i lanes;

    static Vec load(const void* at) { return {_mm512_load_si512(at)}; }
    static Vec broadcast(const std::int8_t* code) {
        int four;
        __builtin_memcpy(&four, code, sizeof four);
        return {_mm512_set1_epi32(four)};
    }
    static Vec dot(Vec sum, Vec query, Vec ref) { return {_mm512_dpbusd_epi32(sum.lanes, query.lanes, ref.lanes)}; }
    std::uint32_t reaches(float slope, const float* inverse_scale, float drop) const {
        const __m512 needed = _mm512_fmsub_ps(_mm512_set1_ps(slope), _mm512_load_ps(inverse_scale), _mm512_set1_ps(drop));
        return _mm512_cmp_ps_mask(as_floats(lanes), needed, _CMP_GE_OQ);
    }
    void store(std::int32_t* at) const { _mm512_store_si512(at, lanes); }
};

constexpr int kQueries = 14;
constexpr int kRefRegisters = 2;

}  // namespace
}  // namespace asl::ratio_search

#include "screen.inl"

namespace asl::ratio_search {

constinit const Screen kScreenAvx512Vnni = make_screen(
    "avx512vnni", [](const CpuFeatures& cpu) { return cpu.avx512f && cpu.avx512vnni; }, 127, 128);

}  // namespace asl::ratio_search
