#include "codes.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace asl::ratio_search {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
// Covers, many times over, what the double arithmetic of this file loses: sums of at most 2^17 terms
// (2^-36 relative), a division, a square root, and |u| <= 1 + 2^-35.
constexpr double kMargin = 0x1p-20;
constexpr double kFloor = 0x1p-40;  // the same for what cancels: unit components carry 2^-51 of themselves
// Rounding to float of anything below 8, and of a bias, of which double's rounding is the smaller part.
constexpr double kToFloat = 0x1p-21;
constexpr double kOfBias = 0x1p-22;

float rounded_up(double x) {
    const float near = static_cast<float>(x);
    return static_cast<double>(near) < x ? std::nextafter(near, kInfinity) : near;
}

}  // namespace

CodeSums sums_of(const std::int8_t* code, std::int64_t num_dims, float inverse_scale) {
    std::int32_t sum = 0, squares = 0;
    for (std::int64_t d = 0; d < num_dims; ++d) {
        sum += code[d];
        squares += code[d] * code[d];
    }
    const double from_code = 1.0 / static_cast<double>(inverse_scale);
    return {sum, rounded_up(std::sqrt(static_cast<double>(squares)) * from_code * (1 + kMargin))};
}

CodedRow encode(const float* value, double row_norm, std::int64_t num_dims, int max_code, std::int8_t* code) {
    float largest = 0;
    for (std::int64_t d = 0; d < num_dims; ++d) largest = std::max(largest, std::fabs(value[d]));
    CodedRow row;
    row.inverse_scale = static_cast<float>(max_code * row_norm / static_cast<double>(largest));
    const double to_unit = 1.0 / row_norm;
    const double to_code = static_cast<double>(row.inverse_scale);
    const double from_code = 1.0 / to_code;
    constexpr double kToInteger = 0x1.8p52;  // adding it rounds to the nearest integer
    constexpr int kLanes = 8;                // so that the compiler can use vectors
    double residual[kLanes] = {};
    const auto step = [&](std::int64_t d, int lane) {
        const double unit = static_cast<double>(value[d]) * to_unit;
        const double nearest = (unit * to_code + kToInteger) - kToInteger;
        const double error = unit - nearest * from_code;
        residual[lane] += error * error;
        code[d] = static_cast<std::int8_t>(static_cast<std::int32_t>(nearest));
    };
    std::int64_t d = 0;
    for (; d + kLanes <= num_dims; d += kLanes) {
        for (int lane = 0; lane < kLanes; ++lane) step(d + lane, lane);
    }
    for (; d < num_dims; ++d) step(d, 0);
    double total = 0;
    for (const double lane : residual) total += lane;
    row.residual = rounded_up(std::sqrt(total) * (1 + kMargin) + kFloor);
    const CodeSums sums = sums_of(code, num_dims, row.inverse_scale);
    row.sum = sums.sum;
    row.length = sums.length;
    return row;
}

double score_rounding(std::int64_t num_dims) {
    return (static_cast<double>(num_dims) + 16) * 0x1p-52 + kFloor;  // dot, two norms, division
}

float residual_in_codes(float residual, float inverse_scale) {
    return rounded_up(static_cast<double>(residual) * static_cast<double>(inverse_scale));
}

QueryBound::QueryBound(const CodedRow& query, float longest_ref, std::int64_t num_dims, double bias, double scale)
    : terms_{static_cast<double>(query.inverse_scale),
             static_cast<double>(query.residual) * static_cast<double>(longest_ref) * (1 + kMargin) +
                 score_rounding(num_dims) + kToFloat + std::fabs(bias) * kOfBias,
             bias,
             scale,
             // lift * residual is rounded to nearest in the screen: the margin keeps it above the real product.
             rounded_up(static_cast<double>(query.inverse_scale) * (1 + kMargin))},
      residual_to_slack_(terms_.inverse_scale * (1 + kMargin)) {}

}  // namespace asl::ratio_search
