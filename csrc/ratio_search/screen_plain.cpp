// Plain C++ (GCC and Clang vectors of 16 bytes): the baseline of any 64-bit machine.
#include <cstdint>

namespace asl::ratio_search {
namespace {

typedef std::int32_t Int4 __attribute__((vector_size(16)));
typedef std::int16_t Short8 __attribute__((vector_size(16)));

// Products of 16-bit pairs, added: what x86-64 does in one instruction.
inline Int4 add_products(Int4 sum, Short8 a, Short8 b) {
#if defined(__SSE2__)
    return sum + (Int4)__builtin_ia32_pmaddwd128(a, b);
#else
    const Short8 low_a = (Short8)((Int4)a << 16), low_b = (Short8)((Int4)b << 16);
    return sum + ((Int4)low_a >> 16) * ((Int4)low_b >> 16) + ((Int4)a >> 16) * ((Int4)b >> 16);
#endif
}

struct Vec {
    static constexpr int kWidth = 4;
    Int4 lanes;

    static Vec load(const void* at) {
        Vec loaded;
        __builtin_memcpy(&loaded.lanes, at, sizeof loaded.lanes);
        return loaded;
    }
    static Vec broadcast(const std::int8_t* code) {
        std::int32_t four;
        __builtin_memcpy(&four, code, sizeof four);
        return {Int4{four, four, four, four}};
    }
    // Even and odd bytes, widened in place.
    static Vec dot(Vec sum, Vec query, Vec ref) {
        const Short8 q = (Short8)query.lanes, r = (Short8)ref.lanes;
        sum.lanes = add_products(sum.lanes, (Short8)(q << 8) >> 8, (Short8)(r << 8) >> 8);
        return {add_products(sum.lanes, q >> 8, r >> 8)};
    }
    // Double holds the product of two floats, and any dot: one rounding, as codes.h asks.
    std::uint32_t reaches(float slope, const float* inverse_scale, float drop) const {
        std::uint32_t mask = 0;
        for (int j = 0; j < kWidth; ++j) {
            const double needed = static_cast<double>(slope) * static_cast<double>(inverse_scale[j]) - static_cast<double>(drop);
            mask |= static_cast<std::uint32_t>(static_cast<double>(lanes[j]) >= needed) << j;
        }
        return mask;
    }
    void store(std::int32_t* at) const { __builtin_memcpy(at, &lanes, sizeof lanes); }
};

constexpr int kQueries = 4;
constexpr int kRefRegisters = 2;

}  // namespace
}  // namespace asl::ratio_search

#include "screen.inl"

namespace asl::ratio_search {

constinit const Screen kScreenPlain = make_screen("plain", [](const CpuFeatures&) { return true; }, 127, 0);

}  // namespace asl::ratio_search
