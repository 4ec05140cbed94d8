// The number types that rows are kept in, read as float32, on this machine and on GPUs. float32 holds all but f64 exactly.
#pragma once

#include <cstdint>

#include "exact_dot.h"

namespace asl::ratio_search {

enum class Number { f16, bf16, f32, f64 };

ASL_HOST_DEVICE static inline std::int64_t size_of(Number number) {
    return number == Number::f64 ? 8 : number == Number::f32 ? 4 : 2;
}

ASL_HOST_DEVICE static inline float float_of_bits(std::uint32_t bits) {
    float value;
    __builtin_memcpy(&value, &bits, sizeof value);
    return value;
}

ASL_HOST_DEVICE static inline float from_bf16(std::uint16_t bits) { return float_of_bits(std::uint32_t{bits} << 16); }

// Exact for denormals too, as long as the processor doesn't flush them (threads.h; nvcc's default doesn't).
ASL_HOST_DEVICE static inline float from_f16(std::uint16_t bits) {
    const std::uint32_t sign = (bits & 0x8000U) << 16;
    const float magnitude = float_of_bits((bits & 0x7FFFU) << 13) * 0x1p112F;
    const std::uint32_t not_finite = (bits & 0x7C00U) == 0x7C00U ? 0x7F800000U : 0U;
    std::uint32_t out;
    __builtin_memcpy(&out, &magnitude, sizeof out);
    return float_of_bits(out | not_finite | sign);
}

// value[i] of rows that are aligned as their numbers are.
template <Number kNumber>
ASL_HOST_DEVICE static inline float float_at(const void* value, std::int64_t i) {
    if constexpr (kNumber == Number::f16) return from_f16(static_cast<const std::uint16_t*>(value)[i]);
    if constexpr (kNumber == Number::bf16) return from_bf16(static_cast<const std::uint16_t*>(value)[i]);
    if constexpr (kNumber == Number::f32) return static_cast<const float*>(value)[i];
    if constexpr (kNumber == Number::f64) return static_cast<float>(static_cast<const double*>(value)[i]);
}

ASL_HOST_DEVICE static inline float float_at(const void* value, Number number, std::int64_t i) {
    switch (number) {
        case Number::f16: return float_at<Number::f16>(value, i);
        case Number::bf16: return float_at<Number::bf16>(value, i);
        case Number::f32: return float_at<Number::f32>(value, i);
        case Number::f64: break;
    }
    return float_at<Number::f64>(value, i);
}

}  // namespace asl::ratio_search
