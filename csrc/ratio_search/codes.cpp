#include "codes.h"

#include <algorithm>
#include <cmath>

namespace asl::ratio_search {
namespace {

// Rounding to float of anything below 8, and of a bias, of which double's rounding is the smaller part.
constexpr double kToFloat = 0x1p-21;
constexpr double kOfBias = 0x1p-22;

}  // namespace

CodeSums sums_of(const std::int8_t* code, std::int64_t num_dims, float inverse_scale) {
    std::int32_t sum = 0, squares = 0;
    for (std::int64_t d = 0; d < num_dims; ++d) {
        sum += code[d];
        squares += code[d] * code[d];
    }
    return {sum, Coder::length_of(squares, inverse_scale)};
}

CodedRow encode(const float* value, double row_norm, std::int64_t num_dims, int max_code, std::int8_t* code) {
    float largest = 0;
    for (std::int64_t d = 0; d < num_dims; ++d) largest = std::max(largest, std::fabs(value[d]));
    CodedRow row;
    row.inverse_scale = Coder::inverse_scale_of(row_norm, largest, max_code);
    const Coder coder(row_norm, row.inverse_scale);
    double squared_error[kCodeLanes] = {};  // lanes, so that the compiler can use vectors
    std::int64_t d = 0;
    for (; d + kCodeLanes <= num_dims; d += kCodeLanes) {
        for (int lane = 0; lane < kCodeLanes; ++lane) code[d + lane] = coder.code(value[d + lane], squared_error[lane]);
    }
    for (int lane = 0; d + lane < num_dims; ++lane) code[d + lane] = coder.code(value[d + lane], squared_error[lane]);
    row.residual = Coder::residual_of(squared_error);
    const CodeSums sums = sums_of(code, num_dims, row.inverse_scale);
    row.sum = sums.sum;
    row.length = sums.length;
    return row;
}

double score_rounding(std::int64_t num_dims) {
    return (static_cast<double>(num_dims) + 16) * 0x1p-52 + kCodeFloor;  // dot, two norms, division
}

float residual_in_codes(float residual, float inverse_scale) {
    return rounded_up(static_cast<double>(residual) * static_cast<double>(inverse_scale));
}

QueryBound::QueryBound(const CodedRow& query, float longest_ref, std::int64_t num_dims, double bias, double scale)
    : terms_{static_cast<double>(query.inverse_scale),
             static_cast<double>(query.residual) * static_cast<double>(longest_ref) * (1 + kCodeMargin) +
                 score_rounding(num_dims) + kToFloat + std::fabs(bias) * kOfBias,
             bias,
             scale,
             // lift * residual is rounded to nearest in the screen: the margin keeps it above the real product.
             rounded_up(static_cast<double>(query.inverse_scale) * (1 + kCodeMargin))},
      residual_to_slack_(terms_.inverse_scale * (1 + kCodeMargin)) {}

}  // namespace asl::ratio_search
