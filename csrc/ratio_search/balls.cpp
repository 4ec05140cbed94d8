#include "balls.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "../common/threads.h"

namespace asl::ratio_search {
namespace {

// Of a squared distance: covers what double loses where codes are at most 2 long.
constexpr double kMargin = 0x1p-40;

// Rows of other things have a cosine near 0.1, the best of a query mostly above 0.8.
constexpr float kSmall = 0.7F;

struct Ball {
    std::vector<std::int8_t> centre;
    float inverse_scale = 1;
    float radius = 0;
};

// |row's code - centre's code|, both times their scales, rounded up.
double distance(const std::int8_t* code, double scale, const Ball& ball, std::int64_t num_dims) {
    std::int64_t own = 0, both = 0, centre = 0;
    for (std::int64_t d = 0; d < num_dims; ++d) {
        own += code[d] * code[d];
        both += code[d] * ball.centre[static_cast<std::size_t>(d)];
        centre += ball.centre[static_cast<std::size_t>(d)] * ball.centre[static_cast<std::size_t>(d)];
    }
    const double centre_scale = 1 / static_cast<double>(ball.inverse_scale);
    const double square = static_cast<double>(own) * scale * scale - 2 * static_cast<double>(both) * scale * centre_scale +
                          static_cast<double>(centre) * centre_scale * centre_scale;
    return std::sqrt(std::max(square, 0.0) + kMargin);
}

// Around the rows at these positions.
Ball around(const Panels& rows, const float* residual, const std::uint32_t* position, std::int64_t count) {
    Ball ball;
    ball.centre.resize(static_cast<std::size_t>(rows.padded_dims));
    std::vector<float> mean(ball.centre.size());
    for (std::int64_t i = 0; i < count; ++i) {
        const float share = 1 / (rows.inverse_scale.data()[position[i]] * static_cast<float>(count));
        const std::int8_t* const code = rows.row(position[i]);
        for (std::size_t d = 0; d < mean.size(); ++d) mean[d] += share * static_cast<float>(code[d]);
    }
    // Rows that cancel leave no direction: the origin is as good a centre.
    if (std::any_of(mean.begin(), mean.end(), [](float value) { return std::fabs(value) > 1e-6F; })) {
        ball.inverse_scale = encode(mean.data(), 1.0, rows.padded_dims, 127, ball.centre.data()).inverse_scale;
    }
    for (std::int64_t i = 0; i < count; ++i) {
        const double scale = 1 / static_cast<double>(rows.inverse_scale.data()[position[i]]);
        const double reach = distance(rows.row(position[i]), scale, ball, rows.padded_dims) + static_cast<double>(residual[position[i]]);
        ball.radius = std::max(ball.radius, std::nextafter(static_cast<float>(reach), std::numeric_limits<float>::infinity()));
    }
    return ball;
}

}  // namespace

Balls::Balls(const Panels& rows, const float* residual, std::vector<std::uint32_t>& order, int num_threads)
    : centres(rows.screen, rows.num_panels, rows.num_dims), ranks(static_cast<std::size_t>(rows.num_panels)) {
    const std::int64_t size = rows.screen.num_refs;
    std::vector<Ball> ball(ranks.size());
    Progress progress;
    run_tasks(rows.num_panels, num_threads, progress, nullptr, [&](std::int64_t p) {
        ball[static_cast<std::size_t>(p)] = around(rows, residual, &order[static_cast<std::size_t>(p * size)], std::min(size, rows.num_rows - p * size));
    });
    // A panel of centres is looked at with the largest of their radii: like goes with like. A last panel that
    // isn't full stays the last.
    std::vector<std::int64_t> turn(ranks.size());
    std::iota(turn.begin(), turn.end(), std::int64_t{0});
    const auto in_codes = [&](std::int64_t p) {
        const Ball& one = ball[static_cast<std::size_t>(p)];
        return residual_in_codes(one.radius, one.inverse_scale);
    };
    std::stable_sort(turn.begin(), turn.begin() + rows.num_rows / size,
                     [&](std::int64_t a, std::int64_t b) { return in_codes(a) < in_codes(b); });
    std::vector<std::uint32_t> sorted;
    std::vector<float> radius(ranks.size());
    sorted.reserve(order.size());
    for (std::int64_t p = 0; p < rows.num_panels; ++p) {
        const Ball& from = ball[static_cast<std::size_t>(turn[static_cast<std::size_t>(p)])];
        std::copy(from.centre.begin(), from.centre.end(), centres.row(p));
        centres.inverse_scale.data()[p] = from.inverse_scale;
        radius[static_cast<std::size_t>(p)] = from.radius;
        const auto first = order.begin() + turn[static_cast<std::size_t>(p)] * size;
        const auto end = order.begin() + std::min((turn[static_cast<std::size_t>(p)] + 1) * size, rows.num_rows);
        sorted.insert(sorted.end(), first, end);
        const auto [least, most] = std::minmax_element(first, end);
        ranks[static_cast<std::size_t>(p)] = {*least, std::int64_t{*most} + 1};
    }
    order = std::move(sorted);
    centres.interleave(radius.data(), num_threads);
    const auto num_small = std::count_if(radius.begin(), radius.end(), [](float each) { return each < kSmall; });
    small_share = static_cast<double>(num_small) / static_cast<double>(rows.num_panels);
}

// One cycle of places after the other.
void reorder(Panels& rows, float* residual, const std::vector<std::uint32_t>& order) {
    const auto size = static_cast<std::size_t>(rows.padded_dims);
    std::vector<bool> done(order.size());
    std::vector<std::int8_t> kept(size);
    for (std::size_t start = 0; start < order.size(); ++start) {
        if (done[start]) continue;
        std::copy_n(rows.row(static_cast<std::int64_t>(start)), size, kept.data());
        const float kept_scale = rows.inverse_scale.data()[start], kept_residual = residual[start];
        std::size_t to = start;
        for (std::size_t from = order[to]; from != start; to = from, from = order[to]) {
            std::copy_n(rows.row(static_cast<std::int64_t>(from)), size, rows.row(static_cast<std::int64_t>(to)));
            rows.inverse_scale.data()[to] = rows.inverse_scale.data()[from];
            residual[to] = residual[from];
            done[to] = true;
        }
        std::copy_n(kept.data(), size, rows.row(static_cast<std::int64_t>(to)));
        rows.inverse_scale.data()[to] = kept_scale;
        residual[to] = kept_residual;
        done[to] = true;
    }
}

}  // namespace asl::ratio_search
