// Unit rows as int8 codes, each with a proof of how far it is from the row.
//
// u = query row / its norm, v = reference row / its norm, both as real numbers; u^ and v^ are codes times
// a scale per row. With eps_u >= |u - u^| and eps_v >= |v - v^| (rounded up), Cauchy and Schwarz give
//
//   |u.v - u^.v^| = |(u - u^).v^ + u.(v - v^)| <= eps_u |v^| + |u| eps_v
//
// and u^.v^ is an integer dot of codes times two scales: exact. The score that counts differs from u.v only
// by its own rounding in double, at most score_rounding(). So a pair can reach `floor` only if
//
//   s >= (floor - eps_u |v^| - rounding) xu * xv - |u| eps_v xu xv,    s = dot of codes, x = 1 / scale.
//
// The screen evaluates the right side as slope * xv - drop with slope rounded down and drop rounded up
// (Reach, below), in one operation that rounds once, and compares it with s rounded to the same format:
// rounding is monotone, so a comparison that is true of the real numbers stays true. A query's bias and scale
// move its floor, and so does what a pair loses at least by the ratio of its norms, by sums that the slack allows to be
// rounded.
#pragma once

#include <cmath>
#include <cstdint>

#include "exact_dot.h"

namespace asl::ratio_search {

// Most dimensions whose dot of codes fits 32 bits: 2^17 * 127^2 < 2^31.
inline constexpr std::int64_t kMaxDims = std::int64_t{1} << 17;

struct CodedRow {
    float inverse_scale = 0;  // x: the unit row is about code / x
    float residual = 0;       // >= |unit row - code / x|
    float length = 0;         // >= |code / x|
    std::int32_t sum = 0;     // of the codes
};

// What the codes of a row are made by, on this machine and on GPUs. What the double arithmetic loses is covered, many
// times over, by two margins: sums of at most 2^17 terms (2^-36 relative), a division, a square root, |u| <= 1 + 2^-35;
// and what cancels, as unit components carry 2^-51 of themselves.
inline constexpr double kCodeMargin = 0x1p-20;
inline constexpr double kCodeFloor = 0x1p-40;
inline constexpr int kCodeLanes = 8;  // dimension d's error is added to lane d % 8

ASL_HOST_DEVICE static inline float rounded_up(double x) {
    const float near = static_cast<float>(x);
    return static_cast<double>(near) < x ? nextafterf(near, INFINITY) : near;
}

struct Coder {
    double to_unit, to_code, from_code;

    ASL_HOST_DEVICE Coder(double row_norm, float inverse_scale)
        : to_unit(1.0 / row_norm), to_code(static_cast<double>(inverse_scale)), from_code(1.0 / to_code) {}

    ASL_HOST_DEVICE static float inverse_scale_of(double row_norm, float largest, int max_code) {
        return static_cast<float>(max_code * row_norm / static_cast<double>(largest));
    }
    ASL_HOST_DEVICE std::int8_t code(float value, double& squared_error) const {
        constexpr double kToInteger = 0x1.8p52;  // adding it rounds to the nearest integer
        const double unit = static_cast<double>(value) * to_unit;
        const double nearest = (unit * to_code + kToInteger) - kToInteger;
        const double error = unit - nearest * from_code;
        squared_error += error * error;
        return static_cast<std::int8_t>(static_cast<std::int32_t>(nearest));
    }
    ASL_HOST_DEVICE static float residual_of(const double (&squared_error)[kCodeLanes]) {
        double total = 0;
        for (const double lane : squared_error) total += lane;
        return rounded_up(sqrt(total) * (1 + kCodeMargin) + kCodeFloor);
    }
    ASL_HOST_DEVICE static float length_of(std::int32_t squared_codes, float inverse_scale) {
        const double from_code = 1.0 / static_cast<double>(inverse_scale);
        return rounded_up(sqrt(static_cast<double>(squared_codes)) * from_code * (1 + kCodeMargin));
    }
};

// What follows from a row's codes: their sum, and how long code / x is at most.
struct CodeSums {
    std::int32_t sum;
    float length;
};
CodeSums sums_of(const std::int8_t* code, std::int64_t num_dims, float inverse_scale);

// Codes of value / row_norm in [-max_code, max_code].
CodedRow encode(const float* value, double row_norm, std::int64_t num_dims, int max_code, std::int8_t* code);

// |score computed in double - real u.v|, at most.
double score_rounding(std::int64_t num_dims);

// residual * inverse_scale, rounded up: the residual in units of codes.
float residual_in_codes(float residual, float inverse_scale);

// What a dot of codes must come to before a pair matters: at least slope * xv - lift * (the reference's
// residual_in_codes, or the largest of its panel).
struct Reach {
    float slope;
    float lift;
};

// What the reach of a query depends on beside the floor: also evaluated on GPUs.
struct ReachTerms {
    double inverse_scale;
    double slack;
    double bias;   // what is subtracted from the query's cosines
    double scale;  // what the difference is multiplied by
    float lift;
};

// floor: of the score, before anything is lost by the ratio.
ASL_HOST_DEVICE static inline Reach reach_of(const ReachTerms& query, double floor) {
    // No cosine lies outside [-2, 2]: infinite floors need no arithmetic of their own.
    const double slope = (fmin(fmax(floor / query.scale + query.bias, -4.0), 4.0) - query.slack) * query.inverse_scale;
    const double below = slope - fabs(slope) * 0x1p-40;  // covers what is cancelled above
    const float near = static_cast<float>(below);
    return {static_cast<double>(near) > below ? nextafterf(near, -INFINITY) : near, query.lift};
}

inline constexpr double kLossToFloat = 0x1p-22;  // rounding what is lost to float

// One query's side of the bound. `longest_ref` >= |v^| of every reference.
class QueryBound {
   public:
    QueryBound(const CodedRow& query, float longest_ref, std::int64_t num_dims, double bias, double scale);

    Reach reach(double floor) const { return reach_of(terms_, floor); }
    const ReachTerms& terms() const { return terms_; }
    float inverse_scale() const { return static_cast<float>(terms_.inverse_scale); }

    struct Interval {
        float lower, upper;
    };
    // Where the exact score lies for this dot of codes and what is lost by the ratio.
    Interval around(std::int32_t dot, float ref_inverse_scale, float panel_residual, double loss) const {
        const double to_score = 1.0 / (terms_.inverse_scale * static_cast<double>(ref_inverse_scale));
        const double score = (dot * to_score - terms_.bias) * terms_.scale - loss;
        const double of_cosine = terms_.slack + static_cast<double>(panel_residual) * residual_to_slack_ * to_score;
        const double slack = of_cosine * terms_.scale + loss * kLossToFloat;
        return {static_cast<float>(score - slack), static_cast<float>(score + slack)};
    }

   private:
    ReachTerms terms_;          // slack: eps_u |v^| + rounding, of the interval's ends to float too
    double residual_to_slack_;
};

}  // namespace asl::ratio_search
