// NEON with the dot product instructions (Armv8.2): 6 x 16 dots in 24 registers, four for the references and one for
// the query. Codes are signed on both sides here, so there is no offset.
#include <arm_neon.h>

#include <cstdint>

namespace asl::ratio_search {
namespace {

struct Vec {
    static constexpr int kWidth = 4;
    int32x4_t lanes;

    static Vec load(const void* at) { return {vld1q_s32(static_cast<const std::int32_t*>(at))}; }
    static Vec broadcast(const std::int8_t* code) {
        std::int32_t four;
        __builtin_memcpy(&four, code, sizeof four);
        return {vdupq_n_s32(four)};
    }
    static Vec dot(Vec sum, Vec query, Vec ref) {
        return {vdotq_s32(sum.lanes, vreinterpretq_s8_s32(query.lanes), vreinterpretq_s8_s32(ref.lanes))};
    }
    // slope * inverse_scale - drop as drop's negative plus the product: one rounding, as codes.h asks.
    std::uint32_t reaches(float slope, const float* inverse_scale, float drop) const {
        const float32x4_t needed = vfmaq_f32(vdupq_n_f32(-drop), vdupq_n_f32(slope), vld1q_f32(inverse_scale));
        const uint32x4_t bit = {1, 2, 4, 8};
        return vaddvq_u32(vandq_u32(vcgeq_f32(vcvtq_f32_s32(lanes), needed), bit));
    }
    void store(std::int32_t* at) const { vst1q_s32(at, lanes); }
};

constexpr int kQueries = 6;
constexpr int kRefRegisters = 4;

}  // namespace
}  // namespace asl::ratio_search

#include "screen.inl"

namespace asl::ratio_search {

constinit const Screen kScreenNeon = make_screen("neon", [](const CpuFeatures& cpu) { return cpu.neondot; }, 127, 0);

}  // namespace asl::ratio_search
