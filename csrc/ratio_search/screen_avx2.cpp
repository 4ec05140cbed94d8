// AVX2 with FMA: 6 x 16 scores in 12 registers, two for the references and one for the query.
#include <immintrin.h>

#include <cstdint>

namespace asl::ratio_search {
namespace {

struct Vec {
    static constexpr int kWidth = 8;
    __m256 lanes;

    static Vec zero() { return {_mm256_setzero_ps()}; }
    static Vec load(const float* at) { return {_mm256_load_ps(at)}; }
    static Vec broadcast(float x) { return {_mm256_set1_ps(x)}; }
    static Vec multiply_add(Vec a, Vec b, Vec c) { return {_mm256_fmadd_ps(a.lanes, b.lanes, c.lanes)}; }
    static std::uint32_t at_least(Vec a, Vec b) {
        return static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(a.lanes, b.lanes, _CMP_GE_OQ)));
    }
    void store(float* at) const { _mm256_store_ps(at, lanes); }
};

constexpr int kQueries = 6;
constexpr int kRefRegisters = 2;

}  // namespace
}  // namespace asl::ratio_search

#include "screen.inl"

namespace asl::ratio_search {

constinit const Screen kScreenAvx2 = make_screen("avx2", [](const CpuFeatures& cpu) { return cpu.avx2 && cpu.fma; });

}  // namespace asl::ratio_search
