// Native checks of csrc/rescore, for a run under sanitizers (scripts/sanitize.sh): the same answer as a brute
// force over what each query brings, for any number of threads. Exit status 1 at the first thing that is false.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <set>
#include <vector>

#include "../../csrc/ratio_search/screen.h"
#include "../../csrc/rescore/rescore.h"
#include "check.h"

using namespace asl::ratio_search;

namespace {

struct Owned {
    std::vector<float> value;
    std::vector<double> row_norm, norm;
    std::int64_t num_dims;

    Owned(std::int64_t num_rows, std::int64_t dims, std::mt19937& random) : num_dims(dims) {
        std::uniform_int_distribution<int> small(-2, 2), third(1, 5);
        for (std::int64_t i = 0; i < num_rows * dims; ++i) {
            value.push_back(i % dims == 0 ? 1.0F : static_cast<float>(small(random)));  // ties, never all zero
        }
        for (std::int64_t r = 0; r < num_rows; ++r) norm.push_back(third(random) / 3.0);
        row_norm.resize(norm.size());
        row_norms({value.data(), Number::f32, num_rows, dims}, 2, row_norm.data());
    }
    StoredRows stored() const {
        StoredRows rows{value.data(), Number::f32, static_cast<std::int64_t>(norm.size()), num_dims};
        rows.row_norm = row_norm.data();
        rows.norm = norm.data();
        return rows;
    }
    Rows rows() const {
        return {value.data(), static_cast<std::int64_t>(norm.size()), num_dims, row_norm.data(), norm.data()};
    }
};

std::vector<Pair> brute_force(const Rows& queries, std::int64_t q, const Rows& refs, const std::set<std::int64_t>& candidates,
                              const Wanted& wanted) {
    std::vector<Pair> pairs;
    for (const std::int64_t r : candidates) {
        const bool copy = queries.norm[q] / refs.norm[r] <= wanted.tau[q];
        if (wanted.direction != Direction::both && copy != (wanted.direction == Direction::copy)) continue;
        const float* const ref = refs.value + r * refs.num_dims;
        double dot = 0;
        kScreenPlain.exact_dots(queries.value + q * refs.num_dims, &ref, 1, refs.num_dims, &dot);
        const double score = wanted.score(q, dot / (queries.row_norm[q] * refs.row_norm[r]), queries.norm[q] / refs.norm[r]);
        if (score >= wanted.min_score[q]) pairs.push_back({score, r});
    }
    std::sort(pairs.begin(), pairs.end(), Better{});
    const std::size_t k = static_cast<std::size_t>(wanted.k);
    if (k > 0 && pairs.size() > k) pairs.resize(k);
    return pairs;
}

void the_best_candidates_are_those_of_the_brute_force() {
    std::mt19937 random(1);
    for (int trial = 0; trial < 200; ++trial) {
        const auto pick = [&](std::initializer_list<std::int64_t> from) { return from.begin()[random() % from.size()]; };
        const std::int64_t num_dims = pick({1, 7, 8, 9, 64, 100}), num_candidates = pick({0, 1, 3, 4, 50, 300});
        const Owned refs(pick({1, 30, 200}), num_dims, random), queries(pick({0, 1, 8, 9, 40}), num_dims, random);
        const Rows query_rows = queries.rows(), ref_rows = refs.rows();
        const std::vector<double> tau(queries.norm.size(), 1.0);
        const std::vector<double> min_score(queries.norm.size(), trial % 2 == 0 ? 0.1 : -2.0);
        std::vector<double> bias(queries.norm.size(), 0.0);
        for (std::size_t q = 0; q < bias.size(); q += 3) bias[q] = 0.25 - 0.1 * static_cast<double>(q % 4);
        const Wanted wanted{pick({0, 1, 10, 500}), min_score.data(), bias.data(), tau.data(), static_cast<Direction>(trial % 3),
                            nullptr, nullptr, nullptr, nullptr, {trial % 2 == 0 ? 0.0 : 0.4, 0.8}};
        std::vector<std::int64_t> candidate;
        for (std::int64_t i = 0; i < query_rows.num_rows * num_candidates; ++i) {
            candidate.push_back(static_cast<std::int64_t>(random() % static_cast<unsigned>(ref_rows.num_rows + 1)) - 1);
        }
        for (const int num_threads : {1, 2, 7}) {
            const Found found =
                asl::rescore::rescore(query_rows, refs.stored(), candidate.data(), num_candidates, wanted, num_threads);
            for (std::int64_t q = 0; q < query_rows.num_rows; ++q) {
                const auto first = candidate.begin() + q * num_candidates;
                std::set<std::int64_t> own(first, first + num_candidates);
                own.erase(-1);
                const std::vector<Pair> want = brute_force(query_rows, q, ref_rows, own, wanted);
                const std::vector<Pair>& got = found[static_cast<std::size_t>(q)];
                CHECK(std::equal(got.begin(), got.end(), want.begin(), want.end(), [](const Pair& a, const Pair& b) {
                    return a.score == b.score && a.row == b.row;
                }));
            }
        }
    }
}

}  // namespace

int main() {
    the_best_candidates_are_those_of_the_brute_force();
    std::puts("native checks of rescore passed");
    return 0;
}
