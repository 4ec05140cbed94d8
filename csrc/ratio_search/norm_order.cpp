#include "norm_order.h"

#include <algorithm>
#include <numeric>

namespace asl::ratio_search {

NormOrder::NormOrder(const double* norm_of_row, std::int64_t num_rows) : row(static_cast<std::size_t>(num_rows)) {
    std::iota(row.begin(), row.end(), std::int64_t{0});
    std::stable_sort(row.begin(), row.end(),
                     [&](std::int64_t a, std::int64_t b) { return norm_of_row[a] > norm_of_row[b]; });
    norm.reserve(row.size());
    for (const std::int64_t r : row) norm.push_back(norm_of_row[r]);
}

NormOrder NormOrder::part(std::int64_t first, std::int64_t step) const {
    NormOrder some(nullptr, 0);
    for (std::int64_t p = first; p < size(); p += step) {
        some.row.push_back(row[static_cast<std::size_t>(p)]);
        some.norm.push_back(norm[static_cast<std::size_t>(p)]);
    }
    return some;
}

Range NormOrder::valid(double query_norm, double tau, Direction direction) const {
    if (direction == Direction::both) return {0, size()};
    const auto edge = std::partition_point(norm.begin(), norm.end(), [&](double ref_norm) {
        return may_be_copy(query_norm, ref_norm, tau);
    });
    const std::int64_t length = edge - norm.begin();
    return direction == Direction::copy ? Range{0, length} : Range{length, size()};
}

std::vector<Range> valid_ranges(const NormOrder& order, const Rows& queries, const Wanted& wanted) {
    std::vector<Range> range;
    range.reserve(static_cast<std::size_t>(queries.num_rows));
    for (std::int64_t q = 0; q < queries.num_rows; ++q) {
        range.push_back(order.valid(queries.norm[q], wanted.tau[q], wanted.direction));
    }
    return range;
}

std::vector<std::int64_t> by_range(const std::vector<Range>& range) {
    std::vector<std::int64_t> query(range.size());
    std::iota(query.begin(), query.end(), std::int64_t{0});
    std::stable_sort(query.begin(), query.end(), [&](std::int64_t a, std::int64_t b) {
        return range[static_cast<std::size_t>(a)].size() > range[static_cast<std::size_t>(b)].size();
    });
    return query;
}

}  // namespace asl::ratio_search
