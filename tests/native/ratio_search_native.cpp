// Native checks of csrc/ratio_search, for a run under sanitizers (scripts/sanitize.sh): the same answers as a
// brute force, and two promises that the Python tests can't reach, the screen's bound and the shortlist
// under a screen that errs as much as it may. Exit status 1 at the first thing that is false.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <stdexcept>
#include <string>

#include "../../csrc/common/aligned.h"
#include "../../csrc/ratio_search/norm_order.h"
#include "../../csrc/ratio_search/ratio_search.h"
#include "../../csrc/ratio_search/screen.h"
#include "../../csrc/ratio_search/shortlist.h"

using namespace asl::ratio_search;

#define CHECK(truth)                                                         \
    do {                                                                     \
        if (!(truth)) {                                                      \
            std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #truth); \
            std::exit(1);                                                    \
        }                                                                    \
    } while (false)

namespace {

struct Owned {
    std::vector<float> value;
    std::vector<double> row_norm, norm;
    std::int64_t num_dims = 0;
    Rows rows() const {
        return {value.data(), static_cast<std::int64_t>(norm.size()), num_dims, row_norm.data(), norm.data()};
    }
    const float* row(std::int64_t r) const { return value.data() + r * num_dims; }
};

enum Kind { kNormal, kSmallIntegers, kAllEqual, kNearTies, kAnyScale, kNumKinds };

Owned make_rows(int kind, std::int64_t num_rows, std::int64_t num_dims, std::mt19937& random) {
    Owned made;
    made.num_dims = num_dims;
    std::normal_distribution<double> normal;
    std::uniform_int_distribution<int> small(-2, 2), third(1, 5);
    std::uniform_real_distribution<double> exponent(-44, 37);
    for (std::int64_t r = 0; r < num_rows; ++r) {
        const double scale = kind == kAnyScale ? std::pow(10.0, exponent(random)) : 1.0;
        for (std::int64_t d = 0; d < num_dims; ++d) {
            double x = normal(random) * scale;
            if (kind == kSmallIntegers) x = small(random);
            if (kind == kNearTies) x = 1 + 1e-6 * x;
            if (kind == kAllEqual && r > 0) x = made.value[static_cast<std::size_t>(d)];
            made.value.push_back(static_cast<float>(x));
        }
        float* const row = &made.value[static_cast<std::size_t>(r * num_dims)];
        if (std::all_of(row, row + num_dims, [](float x) { return x == 0; })) row[0] = 1;
        made.norm.push_back(third(random) / 3.0);
    }
    made.row_norm.resize(made.norm.size());
    row_norms(made.value.data(), num_rows, num_dims, 2, made.row_norm.data());
    return made;
}

double exact_score(const Owned& queries, std::int64_t q, const Owned& refs, std::int64_t r) {
    const float* const ref = refs.row(r);
    double dot = 0;
    kScreenPlain.exact_dots(queries.row(q), &ref, 1, queries.num_dims, &dot);
    return dot / (queries.row_norm[static_cast<std::size_t>(q)] * refs.row_norm[static_cast<std::size_t>(r)]);
}

std::vector<Pair> brute_force(const Owned& queries, std::int64_t q, const Owned& refs, const Wanted& wanted) {
    std::vector<Pair> pairs;
    for (std::int64_t r = 0; r < refs.rows().num_rows; ++r) {
        const bool copy = queries.rows().norm[q] / refs.rows().norm[r] <= wanted.tau[q];
        const bool valid = wanted.direction == Direction::both || copy == (wanted.direction == Direction::copy);
        const Pair pair{exact_score(queries, q, refs, r), r};
        if (valid && pair.score >= wanted.min_score) pairs.push_back(pair);
    }
    std::sort(pairs.begin(), pairs.end(), better);
    const std::size_t k = static_cast<std::size_t>(wanted.k);
    if (k > 0 && pairs.size() > k) pairs.resize(k);
    return pairs;
}

bool same(const std::vector<Pair>& a, const std::vector<Pair>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](const Pair& x, const Pair& y) { return x.score == y.score && x.row == y.row; });
}

void every_path_equals_the_brute_force() {
    std::mt19937 random(1);
    for (int trial = 0; trial < 60; ++trial) {
        const auto pick = [&](std::initializer_list<std::int64_t> from) { return from.begin()[random() % from.size()]; };
        const std::int64_t num_dims = pick({1, 2, 7, 8, 9, 31, 64, 300, 513});
        const Owned refs = make_rows(trial % kNumKinds, pick({1, 33, 500, 900, 900}), num_dims, random);
        const Owned queries = make_rows(trial % kNumKinds, pick({1, 6, 15, 30}), num_dims, random);
        const std::vector<double> tau(queries.norm.size(), trial % 3 == 0 ? 0.7 : 1.0);
        Wanted wanted{pick({0, 1, 10, 600}), -2.0, tau.data(), static_cast<Direction>(trial % 3)};
        if (trial % 4 == 0) wanted.min_score = 0.05;
        const auto agrees = [&](const Refs& prepared, int num_threads) {
            Found found;
            CHECK(prepared.search(queries.rows(), wanted, num_threads, nullptr, found));
            for (std::int64_t q = 0; q < queries.rows().num_rows; ++q) {
                CHECK(same(found[static_cast<std::size_t>(q)], brute_force(queries, q, refs, wanted)));
            }
        };
        for (const std::string& path : cpu_paths()) {
            const auto prepared = prepare_cpu(refs.rows(), 2, path);
            for (const int num_threads : {1, 2, 7}) agrees(*prepared, num_threads);
        }
        agrees(*prepare_chunked_on_host(refs.rows(), pick({1, 50, 400}), pick({1, 7, 1000})), 1);
    }
}

void screen_scores_stay_within_their_slack() {
    std::mt19937 random(2);
    for (const Screen* const* screen = kScreens; *screen != nullptr; ++screen) {
        if (!(*screen)->runs_here(asl::cpu_features())) continue;
        for (const std::int64_t num_dims : {1, 2, 3, 8, 65, 256, 1000}) {
            for (int kind = 0; kind < kNumKinds; ++kind) {
                const Owned refs = make_rows(kind, (*screen)->num_refs, num_dims, random);
                const Owned queries = make_rows(kind, (*screen)->num_queries, num_dims, random);
                const auto packed = [&](const Owned& rows, int count) {
                    std::vector<const float*> row;
                    for (int i = 0; i < count; ++i) row.push_back(rows.row(i));
                    auto panel = std::make_unique<asl::AlignedFloats>(count * num_dims);
                    pack_unit_rows(row.data(), rows.row_norm.data(), count, count, num_dims, panel->data());
                    return panel;
                };
                const std::vector<float> threshold(kMaxQueries, -INFINITY);
                TileHits hits;
                const auto query_panel = packed(queries, (*screen)->num_queries);
                const auto ref_panel = packed(refs, (*screen)->num_refs);
                CHECK((*screen)->tile[(*screen)->num_queries](query_panel->data(), ref_panel->data(), num_dims, nullptr,
                                                              threshold.data(), hits));
                for (int q = 0; q < (*screen)->num_queries; ++q) {
                    for (int r = 0; r < (*screen)->num_refs; ++r) {
                        const double score = static_cast<double>(hits.score[q * (*screen)->num_refs + r]);
                        CHECK(std::fabs(score - exact_score(queries, q, refs, r)) <= screen_slack(num_dims));
                    }
                }
            }
        }
    }
}

class ListScorer : public Scorer {
   public:
    explicit ListScorer(const std::vector<double>& exact) : exact_(exact) {}
    void score(std::span<const Hit> hits, Pair* out) const override {
        for (std::size_t i = 0; i < hits.size(); ++i) out[i] = {exact_[hits[i].position], hits[i].position};
    }

   private:
    const std::vector<double>& exact_;
};

void shortlist_is_right_when_the_screen_errs_as_much_as_it_may() {
    std::mt19937 random(3);
    constexpr double kSlack = 0.01;
    for (int trial = 0; trial < 400; ++trial) {
        const std::int64_t k = std::initializer_list<std::int64_t>{1, 3, 10, 40}.begin()[trial % 4];
        const int num_levels = trial % 3 == 0 ? 3 : 2000;  // few: far more ties than the buffer holds
        std::vector<double> exact;
        std::vector<Pair> all;
        std::vector<Hit> buffer(static_cast<std::size_t>(Shortlist::buffer_size(k, 1000)));
        for (int i = 0; i < 1000; ++i) {
            exact.push_back(static_cast<double>(random() % static_cast<unsigned>(num_levels)) / num_levels * 0.1);
            all.push_back({exact.back(), i});
        }
        Shortlist list(k, -1.0, kSlack, buffer);
        const ListScorer scorer(exact);
        std::sort(all.begin(), all.end(), better);
        const double kth = all[static_cast<std::size_t>(k - 1)].score;
        for (std::uint32_t i = 0; i < 1000; ++i) {
            // What belongs in the answer looks worse than it is, everything else looks better.
            const double error = 0.999999 * (exact[i] >= kth ? -kSlack : kSlack);
            const Hit hit{static_cast<float>(exact[i] + error), i};
            if (hit.score < list.threshold()) continue;
            if (!list.has_room(1)) list.compact(scorer);
            list.add(hit);
        }
        list.settle(scorer);
        all.resize(static_cast<std::size_t>(k));
        CHECK(same(list.take(), all));
    }
}

void a_stopped_search_says_so_and_an_exception_of_a_task_arrives() {
    std::mt19937 random(4);
    const Owned refs = make_rows(kNormal, 20000, 64, random);
    const std::vector<double> tau(refs.norm.size(), 10.0);
    Found found;
    const auto prepared = prepare_cpu(refs.rows(), 2, "plain");
    CHECK(!prepared->search(refs.rows(), {10, -2.0, tau.data(), Direction::copy}, 2,
                            [](std::int64_t, std::int64_t) { return false; }, found));
    asl::Progress progress;
    bool arrived = false;
    try {
        asl::run_tasks(50, 7, progress, nullptr, [](std::int64_t task) {
            if (task == 20) throw std::runtime_error("task 20");
        });
    } catch (const std::runtime_error& error) {
        arrived = std::string(error.what()) == "task 20";
    }
    CHECK(arrived);
}

}  // namespace

int main() {
    screen_scores_stay_within_their_slack();
    shortlist_is_right_when_the_screen_errs_as_much_as_it_may();
    every_path_equals_the_brute_force();
    a_stopped_search_says_so_and_an_exception_of_a_task_arrives();
    std::puts("native checks passed");
    return 0;
}
