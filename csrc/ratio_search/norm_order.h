// The predicate as a range: with references sorted by norm, largest first, fl(norm(q) / norm(r)) rises
// along the list, so the references of one query that pass it are a prefix, the others a suffix.
#pragma once

#include <cstdint>
#include <vector>

#include "exact_dot.h"
#include "ratio_search.h"

namespace asl::ratio_search {

struct Range {
    std::int64_t begin = 0;
    std::int64_t end = 0;
    std::int64_t size() const { return end - begin; }
};

struct NormOrder {
    std::vector<std::int64_t> row;  // reference row at each position
    std::vector<double> norm;       // its predicate norm, falling

    NormOrder(const double* norm_of_row, std::int64_t num_rows);
    std::int64_t size() const { return static_cast<std::int64_t>(row.size()); }
    // Positions first, first + step, ...: still in norm order.
    NormOrder part(std::int64_t first, std::int64_t step) const;
    Range valid(double query_norm, double tau, Direction direction) const;
};

// The per-pair test, written once: the bisection and every mask ask exactly this.
ASL_HOST_DEVICE inline bool may_be_copy(double query_norm, double ref_norm, double tau) { return query_norm / ref_norm <= tau; }

std::vector<Range> valid_ranges(const NormOrder& order, const Rows& queries, const Wanted& wanted);

// Queries by length of their range, longest first: neighbours then need nearly the same tiles.
std::vector<std::int64_t> by_range(const std::vector<Range>& range);

}  // namespace asl::ratio_search
