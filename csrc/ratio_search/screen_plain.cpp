// Plain C++ (GCC and Clang vectors of four floats): the baseline of any 64-bit machine.
#include <cstdint>

namespace asl::ratio_search {
namespace {

struct Vec {
    static constexpr int kWidth = 4;
    typedef float Float4 __attribute__((vector_size(16)));
    Float4 lanes;

    static Vec zero() { return {Float4{}}; }
    static Vec load(const float* at) {
        Vec loaded;
        __builtin_memcpy(&loaded.lanes, at, sizeof loaded.lanes);
        return loaded;
    }
    static Vec broadcast(float x) { return {Float4{x, x, x, x}}; }
    static Vec multiply_add(Vec a, Vec b, Vec c) { return {a.lanes * b.lanes + c.lanes}; }
    static std::uint32_t at_least(Vec a, Vec b) {
        const auto truth = a.lanes >= b.lanes;  // -1 where true
        return (truth[0] & 1U) | (truth[1] & 2U) | (truth[2] & 4U) | (truth[3] & 8U);
    }
    void store(float* at) const { __builtin_memcpy(at, &lanes, sizeof lanes); }
};

constexpr int kQueries = 6;
constexpr int kRefRegisters = 2;

}  // namespace
}  // namespace asl::ratio_search

#include "screen.inl"

namespace asl::ratio_search {

constinit const Screen kScreenPlain = make_screen("plain", [](const CpuFeatures&) { return true; });

}  // namespace asl::ratio_search
