// Native checks of csrc/ratio_search, for a run under sanitizers (scripts/sanitize.sh): the same answers as a
// brute force, and two promises that the Python tests can't reach, the screen's bound and the shortlist
// under a screen that errs as much as it may. Exit status 1 at the first thing that is false.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>

#include "../../csrc/common/aligned.h"
#include "../../csrc/ratio_search/balls.h"
#include "../../csrc/ratio_search/grouping.h"
#include "../../csrc/ratio_search/norm_order.h"
#include "../../csrc/ratio_search/ratio_search.h"
#include "../../csrc/ratio_search/screen.h"
#include "../../csrc/ratio_search/shortlist.h"
#include "check.h"

using namespace asl::ratio_search;

namespace {

#if defined(__SANITIZE_THREAD__)
constexpr int kEmulated = 60;  // every so many trials on the emulated GPU too, which that sanitizer makes slow
#else
constexpr int kEmulated = 6;
#endif


struct Owned {
    std::vector<float> value;
    std::vector<double> row_norm, norm;
    std::int64_t num_dims = 0;
    Rows rows() const {
        return {value.data(), static_cast<std::int64_t>(norm.size()), num_dims, row_norm.data(), norm.data()};
    }
    StoredRows stored() const {
        return {value.data(), Number::f32, static_cast<std::int64_t>(norm.size()), num_dims, row_norm.data(), norm.data()};
    }
    const float* row(std::int64_t r) const { return value.data() + r * num_dims; }
};

enum Kind { kNormal, kSmallIntegers, kAllEqual, kNearTies, kAnyScale, kOneHuge, kDenormal, kNumKinds };

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
            if (kind == kOneHuge) x = d == r % num_dims ? 1e3 : 1 + 0.4 * x;
            if (kind == kDenormal) x = small(random) * 0x1p-149;
            if (kind == kAllEqual && r > 0) x = made.value[static_cast<std::size_t>(d)];
            made.value.push_back(static_cast<float>(x));
        }
        float* const row = &made.value[static_cast<std::size_t>(r * num_dims)];
        if (std::all_of(row, row + num_dims, [](float x) { return x == 0; })) row[0] = kind == kDenormal ? 0x1p-149F : 1;
        made.norm.push_back(third(random) / 3.0);
    }
    made.row_norm.resize(made.norm.size());
    row_norms(made.stored(), 2, made.row_norm.data());
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
        const Pair pair{wanted.score(q, exact_score(queries, q, refs, r), queries.rows().norm[q] / refs.rows().norm[r]), r};
        const bool searched = wanted.rank == nullptr || wanted.rank[r] >= 0;
        if (valid && searched && pair.score >= wanted.min_score[q]) pairs.push_back(pair);
    }
    std::sort(pairs.begin(), pairs.end(), Better{wanted.rank});
    const std::size_t k = static_cast<std::size_t>(wanted.k);
    if (k > 0 && pairs.size() > k) pairs.resize(k);
    return pairs;
}

std::vector<QueryPair> brute_force(const Owned& queries, const Owned& refs, const Wanted& wanted, std::int64_t num_pairs) {
    std::vector<QueryPair> best;
    for (std::int64_t q = 0; q < queries.rows().num_rows; ++q) {
        for (const Pair& pair : brute_force(queries, q, refs, wanted)) best.push_back({pair.score, q, pair.row});
    }
    std::stable_sort(best.begin(), best.end(), [](const QueryPair& a, const QueryPair& b) { return a.score > b.score; });
    if (best.size() > static_cast<std::size_t>(num_pairs)) best.resize(static_cast<std::size_t>(num_pairs));
    return best;
}

bool same(const std::vector<Pair>& a, const std::vector<Pair>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](const Pair& x, const Pair& y) { return x.score == y.score && x.row == y.row; });
}

bool same(const std::vector<QueryPair>& a, const std::vector<QueryPair>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const QueryPair& x, const QueryPair& y) {
        return x.score == y.score && x.query == y.query && x.row == y.row;
    });
}

void every_path_equals_the_brute_force() {
    std::mt19937 random(1);
    for (int trial = 0; trial < 60; ++trial) {
        const auto pick = [&](std::initializer_list<std::int64_t> from) { return from.begin()[random() % from.size()]; };
        const std::int64_t num_dims = pick({1, 2, 7, 8, 9, 31, 64, 300, 513});
        const Owned refs = make_rows(trial % kNumKinds, pick({1, 33, 500, 900, 900}), num_dims, random);
        const Owned queries = make_rows(trial % kNumKinds, pick({1, 6, 15, 30}), num_dims, random);
        const std::vector<double> tau(queries.norm.size(), trial % 3 == 0 ? 0.7 : 1.0);
        std::vector<double> min_score(queries.norm.size(), -2.0);
        for (std::size_t q = trial % 4; q < min_score.size(); q += 2) min_score[q] = 0.05;
        std::vector<double> bias(queries.norm.size(), 0.0);
        for (std::size_t q = trial % 2; q < bias.size(); q += 3) bias[q] = 0.3 * static_cast<double>(q % 5) - 0.7;
        std::vector<double> scale(queries.norm.size(), 1.0);
        for (std::size_t q = trial % 4; q < scale.size(); q += 4) scale[q] = 0.2 * static_cast<double>(q % 7 + 1);
        std::vector<std::int64_t> rank(refs.norm.size());
        std::iota(rank.begin(), rank.end(), 0);
        std::shuffle(rank.begin(), rank.end(), random);
        for (std::size_t r = 0; r < rank.size(); r += 5) rank[r] = trial % 5 == 0 ? -1 : rank[r];
        const Wanted wanted{pick({1, 10, 600}), min_score.data(), bias.data(), tau.data(), static_cast<Direction>(trial % 3),
                            nullptr, trial % 2 == 0 ? nullptr : rank.data(), nullptr, scale.data()};
        const Wanted no_limit{trial % 4 == 1 ? wanted.k : 0, wanted.min_score, wanted.bias, wanted.tau, wanted.direction, nullptr, wanted.rank, nullptr, wanted.scale};
        const std::int64_t num_pairs = pick({1, 17, 500, 5000, 1 << 20});
        const std::vector<QueryPair> best = brute_force(queries, refs, no_limit, num_pairs);
        const auto agrees = [&](const Refs& prepared, int num_threads) {
            Found found;
            CHECK(prepared.search(queries.rows(), wanted, num_threads, nullptr, found));
            for (std::int64_t q = 0; q < queries.rows().num_rows; ++q) {
                CHECK(same(found[static_cast<std::size_t>(q)], brute_force(queries, q, refs, wanted)));
            }
            std::vector<QueryPair> pairs;
            CHECK(prepared.best_pairs(queries.rows(), no_limit, num_pairs, num_threads, nullptr, pairs));
            CHECK(same(pairs, best));
        };
        for (const std::string& path : cpu_paths()) {
            const Grouping grouping = trial % 2 == 0 ? Grouping::always : Grouping::never;
            const auto prepared = prepare_cpu(refs.stored(), nullptr, 1 << 20, 2, path, grouping);
            for (const int num_threads : {1, 2, 7}) agrees(*prepared, num_threads);
        }
        const GpuLimits limits{pick({1, 50, 400}), pick({1, 7, 1000}), pick({1, 1 << 16})};
        if (trial % kEmulated == 0) agrees(*prepare_emulated(refs.stored(), 1 + trial % 4 / 2, 1 << 30, limits, 1, random()), 1);
    }
}

// Screen one panel of queries against one of references, in chunks as the scan cuts them.
struct Screened {
    asl::Aligned<std::int8_t> query_code, ref_code, line;
    asl::Aligned<float> inverse_scale{kMaxRefs};
    asl::Aligned<std::int32_t> start{kMaxRefs}, sum{kTileDots};
    CodedRow coded[kMaxQueries];
    PanelBound panel;
    TileHits hits;
    bool any = false;

    Screened(const Screen& screen, const Owned& queries, const Owned& refs, std::int64_t chunk_dims, double floor)
        : query_code(kMaxQueries * screen.padded(refs.num_dims)), ref_code(kMaxRefs * screen.padded(refs.num_dims)),
          line(kMaxQueries * screen.padded(refs.num_dims)) {
        const auto rows_of = [](const Owned& rows) {
            std::vector<const float*> row;
            for (std::int64_t r = 0; r < rows.rows().num_rows; ++r) row.push_back(rows.row(r));
            return row;
        };
        const int num_queries = static_cast<int>(queries.norm.size());
        const int num_refs = static_cast<int>(refs.norm.size());
        std::fill_n(ref_code.data(), kMaxRefs * screen.padded(refs.num_dims), std::int8_t{0});
        std::fill_n(inverse_scale.data(), kMaxRefs, 0.0F);
        float residual[kMaxRefs];
        for (int r = 0; r < num_refs; ++r) {
            const CodedRow coded_ref = encode(refs.row(r), refs.row_norm[static_cast<std::size_t>(r)], refs.num_dims, 127,
                                              ref_code.data() + r * screen.padded(refs.num_dims));
            inverse_scale.data()[r] = coded_ref.inverse_scale;
            residual[r] = coded_ref.residual;
        }
        panel = interleave_refs(screen, num_refs, refs.num_dims, ref_code.data(), inverse_scale.data(), residual, start.data());
        encode_queries(screen, rows_of(queries).data(), queries.row_norm.data(), num_queries, refs.num_dims, chunk_dims,
                       query_code.data(), line.data(), coded);
        Reach reach[kMaxQueries];
        for (int q = 0; q < num_queries; ++q) reach[q] = bound(q, refs).reach(floor);
        const std::int64_t padded = screen.padded(refs.num_dims);
        if (screen.enter != nullptr) screen.enter();
        for (std::int64_t first = 0; first < padded; first += chunk_dims) {
            const bool last = first + chunk_dims >= padded;
            const Chunk chunk = first == 0 ? (last ? Chunk::only : Chunk::first) : (last ? Chunk::last : Chunk::middle);
            any = screen.tile[num_queries](query_code.data() + first * screen.panel_rows(num_queries),
                                           {ref_code.data() + first * screen.num_refs, inverse_scale.data(), start.data(),
                                            panel.residual},
                                           std::min(chunk_dims, padded - first), chunk, sum.data(), reach, hits);
        }
        if (screen.leave != nullptr) screen.leave();
    }
    QueryBound bound(int q, const Owned& refs) const { return {coded[q], panel.length, refs.num_dims, 0, 1}; }
};

// The bound itself, for rows that quantise well and badly: every exact score lies in its interval, and no
// pair at or above the floor is missed.
void exact_scores_lie_in_the_intervals_of_the_screen() {
    std::mt19937 random(2);
    for (const Screen* const* each = kScreens; *each != nullptr; ++each) {
        const Screen& screen = **each;
        if (!screen.runs_here(asl::cpu_features())) continue;
        for (const std::int64_t num_dims : {1, 2, 3, 8, 65, 256, 1000, 8192}) {
            for (int kind = 0; kind < kNumKinds; ++kind) {
                const Owned refs = make_rows(kind, screen.num_refs, num_dims, random);
                const Owned queries = make_rows(kind, 1 + static_cast<int>(random() % screen.num_queries), num_dims, random);
                const std::int64_t chunk_dims = std::initializer_list<std::int64_t>{64, 512, 8192}.begin()[random() % 3];
                const Screened all(screen, queries, refs, chunk_dims, -INFINITY);
                const double floor = exact_score(queries, 0, refs, static_cast<std::int64_t>(random() % refs.norm.size()));
                const Screened some(screen, queries, refs, chunk_dims, floor);
                CHECK(all.any);
                for (int q = 0; q < static_cast<int>(queries.norm.size()); ++q) {
                    const QueryBound bound = all.bound(q, refs);
                    for (int r = 0; r < screen.num_refs; ++r) {
                        const double score = exact_score(queries, q, refs, r);
                        const auto [lower, upper] =
                            bound.around(all.hits.dot[q * screen.num_refs + r], all.inverse_scale.data()[r], all.panel.residual, 0);
                        CHECK(all.hits.hit[q] >> r & 1);
                        CHECK(lower <= score && score <= upper);
                        CHECK(score < floor || (some.any && (some.hits.hit[q] >> r & 1)));
                    }
                }
            }
        }
    }
}

// What skipping rests on: the centre of a panel is let through whenever one of the panel's rows reaches the floor.
void no_ball_hides_a_row() {
    std::mt19937 random(5);
    for (const Screen* const* each = kScreens; *each != nullptr; ++each) {
        const Screen& screen = **each;
        if (!screen.runs_here(asl::cpu_features())) continue;
        for (const std::int64_t num_dims : {1, 3, 64, 600}) {
            for (int kind = 0; kind < kNumKinds; ++kind) {
                const Owned refs = make_rows(kind, 300, num_dims, random), queries = make_rows(kind, screen.num_queries, num_dims, random);
                Panels rows(screen, 300, num_dims);
                std::vector<float> residual(static_cast<std::size_t>(rows.num_panels * screen.num_refs));
                for (std::int64_t r = 0; r < 300; ++r) {
                    const CodedRow coded = encode(refs.row(r), refs.row_norm[static_cast<std::size_t>(r)], num_dims, 127, rows.row(r));
                    std::fill(rows.row(r) + num_dims, rows.row(r) + rows.padded_dims, std::int8_t{0});
                    rows.inverse_scale.data()[r] = coded.inverse_scale;
                    residual[static_cast<std::size_t>(r)] = coded.residual;
                }
                std::vector<std::uint32_t> order = grouped(rows, 2);
                std::vector<std::uint32_t> every = order;
                std::sort(every.begin(), every.end());
                for (std::uint32_t r = 0; r < 300; ++r) CHECK(every[r] == r);
                const Balls balls(rows, residual.data(), order, 2);
                reorder(rows, residual.data(), order);
                rows.interleave(residual.data(), 1);
                const float longest = std::max(rows.longest, balls.centres.longest);
                std::vector<const float*> row;
                for (int q = 0; q < screen.num_queries; ++q) row.push_back(queries.row(q));
                asl::Aligned<std::int8_t> code(kMaxQueries * rows.padded_dims), line(kMaxQueries * rows.padded_dims);
                CodedRow coded[kMaxQueries];
                encode_queries(screen, row.data(), queries.row_norm.data(), screen.num_queries, num_dims, rows.chunk_dims, code.data(),
                               line.data(), coded);
                asl::Aligned<std::int32_t> sum(kTileDots);
                TileHits hits;
                if (screen.enter != nullptr) screen.enter();
                for (std::int64_t p = 0; p < rows.num_panels; ++p) {
                    const std::int64_t end = std::min<std::int64_t>((p + 1) * screen.num_refs, 300);
                    Reach reach[kMaxQueries];
                    for (int q = 0; q < screen.num_queries; ++q) {
                        double best = -2;
                        for (std::int64_t i = p * screen.num_refs; i < end; ++i) {
                            best = std::max(best, exact_score(queries, q, refs, order[static_cast<std::size_t>(i)]));
                        }
                        reach[q] = QueryBound(coded[q], longest, num_dims, 0, 1).reach(best);
                    }
                    bool any = false;
                    balls.centres.in_chunks([&](std::int64_t first, std::int64_t length, Chunk chunk) {
                        any = screen.tile[screen.num_queries](code.data() + first * screen.panel_rows(screen.num_queries),
                                                              balls.centres.panel(p / screen.num_refs, first), length, chunk,
                                                              sum.data(), reach, hits);
                    });
                    CHECK(any);
                    for (int q = 0; q < screen.num_queries; ++q) CHECK(hits.hit[q] >> (p % screen.num_refs) & 1);
                }
                if (screen.leave != nullptr) screen.leave();
            }
        }
    }
}

// A pair of rows whose errors all point the same way meets the bound almost exactly: half a code in every
// dimension of the query against a reference along that error. A bound without its residuals fails here.
void the_bound_holds_where_all_errors_add_up() {
    for (const Screen* const* each = kScreens; *each != nullptr; ++each) {
        const Screen& screen = **each;
        if (!screen.runs_here(asl::cpu_features())) continue;
        for (const bool of_query : {true, false}) {
            for (const float sign : {0.49F, -0.49F}) {
                Owned rough, smooth;
                rough.num_dims = smooth.num_dims = 512;
                const float top = static_cast<float>(of_query ? screen.max_query_code : 127);
                for (int d = 0; d < 512; ++d) {
                    rough.value.push_back(d == 0 ? top : static_cast<float>(d % 3) + sign);
                    smooth.value.push_back(d == 0 ? 0.0F : 1.0F);
                }
                for (Owned* rows : {&rough, &smooth}) {
                    rows->norm.assign(1, 1.0);
                    rows->row_norm.resize(1);
                    row_norms(rows->stored(), 1, rows->row_norm.data());
                }
                const Owned& queries = of_query ? rough : smooth;
                const Owned& refs = of_query ? smooth : rough;
                const double score = exact_score(queries, 0, refs, 0);
                const Screened at_floor(screen, queries, refs, 512, score);
                CHECK(at_floor.any && (at_floor.hits.hit[0] & 1));
                const auto [lower, upper] = at_floor.bound(0, refs).around(at_floor.hits.dot[0], at_floor.inverse_scale.data()[0],
                                                                          at_floor.panel.residual, 0);
                CHECK(lower <= score && score <= upper);
                const double middle = (static_cast<double>(lower) + static_cast<double>(upper)) / 2;
                CHECK(std::fabs(score - middle) > 0.5 * (static_cast<double>(upper) - middle));
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
        Shortlist list(k, -1.0, Better{}, buffer);
        const ListScorer scorer(exact);
        std::sort(all.begin(), all.end(), Better{});
        const double kth = all[static_cast<std::size_t>(k - 1)].score;
        for (std::uint32_t i = 0; i < 1000; ++i) {
            // What belongs in the answer looks worse than it is, everything else looks better.
            const double error = 0.999999 * (exact[i] >= kth ? -kSlack : kSlack);
            const double seen = exact[i] + error;
            const Hit hit{static_cast<float>(seen - kSlack), static_cast<float>(seen + kSlack), i};
            if (static_cast<double>(hit.upper) < list.floor()) continue;
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
    const std::vector<double> tau(refs.norm.size(), 10.0), min_score(refs.norm.size(), -2.0), bias(refs.norm.size());
    Found found;
    const auto prepared = prepare_cpu(refs.stored(), nullptr, 1 << 20, 2, "plain", Grouping::never);
    CHECK(!prepared->search(refs.rows(), {10, min_score.data(), bias.data(), tau.data(), Direction::copy}, 2,
                            [](std::int64_t, std::int64_t) { return false; }, found));
    std::vector<QueryPair> best;
    CHECK(!prepared->best_pairs(refs.rows(), {0, min_score.data(), bias.data(), tau.data(), Direction::copy}, 1000, 2,
                                [](std::int64_t, std::int64_t) { return false; }, best));
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
    exact_scores_lie_in_the_intervals_of_the_screen();
    no_ball_hides_a_row();
    the_bound_holds_where_all_errors_add_up();
    shortlist_is_right_when_the_screen_errs_as_much_as_it_may();
    every_path_equals_the_brute_force();
    a_stopped_search_says_so_and_an_exception_of_a_task_arrives();
    std::puts("native checks passed");
    return 0;
}
