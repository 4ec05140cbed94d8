// AVX-512F: 14 x 32 scores in 28 registers, two for the references and one for the query.
#include <immintrin.h>

#include <cstdint>

namespace asl::ratio_search {
namespace {

struct Vec {
    static constexpr int kWidth = 16;
    __m512 lanes;

    static Vec zero() { return {_mm512_setzero_ps()}; }
    static Vec load(const float* at) { return {_mm512_load_ps(at)}; }
    static Vec broadcast(float x) { return {_mm512_set1_ps(x)}; }
    static Vec multiply_add(Vec a, Vec b, Vec c) { return {_mm512_fmadd_ps(a.lanes, b.lanes, c.lanes)}; }
    static std::uint32_t at_least(Vec a, Vec b) {
        return _mm512_cmp_ps_mask(a.lanes, b.lanes, _CMP_GE_OQ);
    }
    void store(float* at) const { _mm512_store_ps(at, lanes); }
};

constexpr int kQueries = 14;
constexpr int kRefRegisters = 2;

}  // namespace
}  // namespace asl::ratio_search

#include "screen.inl"

namespace asl::ratio_search {

constinit const Screen kScreenAvx512 = make_screen("avx512", [](const CpuFeatures& cpu) { return cpu.avx512f; });

}  // namespace asl::ratio_search
