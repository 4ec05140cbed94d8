#include "screen.h"

#include <cmath>

namespace asl::ratio_search {
namespace {

// Components below this become zero: float products then never are denormal, which would be slow.
constexpr double kTiny = 0x1p-60;

}  // namespace

const Screen* const kScreens[] = {
#if defined(__x86_64__)
    &kScreenAvx512,
    &kScreenAvx2,
#endif
    &kScreenPlain,
    nullptr,
};

void pack_unit_rows(const float* const* row, const double* row_norm, int count, int width, std::int64_t num_dims,
                    float* out) {
    for (int i = 0; i < width; ++i) {
        const float* const value = i < count ? row[i] : nullptr;
        const double scale = i < count ? 1.0 / row_norm[i] : 0.0;
        for (std::int64_t d = 0; d < num_dims; ++d) {
            const double unit = value == nullptr ? 0.0 : static_cast<double>(value[d]) * scale;
            out[d * width + i] = std::fabs(unit) < kTiny ? 0.0F : static_cast<float>(unit);
        }
    }
}

double screen_slack(std::int64_t num_dims) {
    const double dims = static_cast<double>(num_dims);
    const double u = 0x1p-24;  // unit roundoff of float
    // |unit row - packed row|: rounding to float, and what was set to zero.
    const double residual = u * (1 + 0x1p-20) + std::sqrt(dims) * kTiny;
    // Higham, Accuracy and Stability, 3.1: at most num_dims + 1 roundings meet any one product.
    const double gamma = (dims + 1) * u / (1 - (dims + 1) * u);
    const double screen = residual * (2 + residual) + gamma * (1 + residual) * (1 + residual) + dims * 0x1p-149;
    const double exact = (dims + 16) * 0x1p-52;  // the exact score's own rounding: dot, two norms, division
    return (screen + exact) * (1 + 0x1p-20);
}

}  // namespace asl::ratio_search
