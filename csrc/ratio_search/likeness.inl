// How alike rows of codes are, roughly: for what decides speed and never an answer. Plain loops, compiled with
// each instruction set's flags.
#include <algorithm>
#include <cstdint>

namespace asl::ratio_search {
namespace {

std::int32_t code_dot(const std::int8_t* a, const std::int8_t* b, std::int64_t num_dims) {
    std::int32_t sum = 0;
    for (std::int64_t d = 0; d < num_dims; ++d) sum += a[d] * b[d];
    return sum;
}

void likeness(const std::int32_t* dot, float factor, const float* ref_factor, int count, std::uint8_t* out) {
    for (int j = 0; j < count; ++j) {
        const float scaled = static_cast<float>(dot[j]) * factor * ref_factor[j];
        out[j] = static_cast<std::uint8_t>(static_cast<std::int32_t>(std::min(std::max(scaled, 0.0F), 127.0F)));
    }
}

}  // namespace
}  // namespace asl::ratio_search
