#include "rescore.h"

#include <algorithm>
#include <iterator>
#include <vector>

#include "../ratio_search/norm_order.h"
#include "../ratio_search/screen.h"

namespace asl::rescore {
namespace {

namespace rs = ratio_search;

std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

rs::ExactDots exact_dots_here() {
    const rs::Screen* const* screen = rs::kScreens;
    while (!(*screen)->runs_here(cpu_features())) ++screen;  // the plain one runs everywhere
    return (*screen)->exact_dots;
}

bool passes(double query_norm, double ref_norm, double tau, rs::Direction direction) {
    if (direction == rs::Direction::both) return true;
    return rs::may_be_copy(query_norm, ref_norm, tau) == (direction == rs::Direction::copy);
}

struct Work {
    const rs::Rows& queries;
    const rs::StoredRows& refs;
    const std::int64_t* candidate;
    std::int64_t num_candidates;
    const rs::Wanted& wanted;
    rs::ExactDots exact_dots;

    // What passes the test, each row once, in the order in which the rows lie in memory.
    std::vector<std::int64_t> valid_rows(std::int64_t q) const {
        std::vector<std::int64_t> row;
        row.reserve(at(num_candidates));
        const std::int64_t* const first = candidate + q * num_candidates;
        std::copy_if(first, first + num_candidates, std::back_inserter(row), [&](std::int64_t r) {
            return r >= 0 && passes(queries.norm[q], refs.norm[r], wanted.tau[q], wanted.direction);
        });
        std::sort(row.begin(), row.end());
        row.erase(std::unique(row.begin(), row.end()), row.end());
        return row;
    }

    std::vector<rs::Pair> best(std::int64_t q) const {
        constexpr std::size_t kBatch = 16;
        const std::vector<std::int64_t> row = valid_rows(q);
        std::vector<float> converted(refs.number == rs::Number::f32 ? 0 : kBatch * at(refs.num_dims));
        const float* value[kBatch];
        double dot[kBatch];
        std::vector<rs::Pair> pairs;
        for (std::size_t start = 0; start < row.size(); start += kBatch) {
            const std::size_t count = std::min(kBatch, row.size() - start);
            for (std::size_t i = 0; i < count; ++i) {
                value[i] = refs.floats(row[start + i], converted.data() + (converted.empty() ? 0 : i * at(refs.num_dims)));
            }
            exact_dots(queries.value + q * queries.num_dims, value, static_cast<std::int64_t>(count), refs.num_dims, dot);
            for (std::size_t i = 0; i < count; ++i) {
                const std::int64_t r = row[start + i];
                const double cosine = dot[i] / (queries.row_norm[q] * refs.row_norm[r]);
                const double score = wanted.score(q, cosine, queries.norm[q] / refs.norm[r]);
                if (score >= wanted.min_score[q]) pairs.push_back({score, r});
            }
        }
        const bool all = wanted.k == 0 || wanted.k > static_cast<std::int64_t>(pairs.size());
        const std::size_t num_kept = all ? pairs.size() : at(wanted.k);
        const auto end_kept = pairs.begin() + static_cast<std::ptrdiff_t>(num_kept);
        std::partial_sort(pairs.begin(), end_kept, pairs.end(), rs::Better{});
        pairs.resize(num_kept);
        return pairs;
    }
};

}  // namespace

rs::Found rescore(const rs::Rows& queries, const rs::StoredRows& refs, const std::int64_t* candidate,
                  std::int64_t num_candidates, const rs::Wanted& wanted, int num_threads) {
    constexpr std::int64_t kQueriesPerTask = 8;
    const Work work{queries, refs, candidate, num_candidates, wanted, exact_dots_here()};
    rs::Found found(at(queries.num_rows));
    Progress progress;
    const std::int64_t num_tasks = (queries.num_rows + kQueriesPerTask - 1) / kQueriesPerTask;
    run_tasks(num_tasks, num_threads, progress, nullptr, [&](std::int64_t task) {
        const std::int64_t end = std::min((task + 1) * kQueriesPerTask, queries.num_rows);
        for (std::int64_t q = task * kQueriesPerTask; q < end; ++q) found[at(q)] = work.best(q);
    });
    return found;
}

}  // namespace asl::rescore
