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
