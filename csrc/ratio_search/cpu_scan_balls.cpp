// The scan of references that lie in small balls. Panels of centres are looked at as references are: the queries that a
// look lets through are the only ones that a ball's panel is scored with. A query's nearest balls come first, so that
// its floor is nearly what it will be in the end before any look.
#include <algorithm>

#include "cpu_scan.h"

namespace asl::ratio_search {
namespace {

std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

}  // namespace

void Seeds::add(float score, std::int64_t ref_panel) {
    int place = kMost - 1;
    for (; place > 0 && ball[place - 1].score < score; --place) ball[place] = ball[place - 1];
    ball[place] = {score, ref_panel};
}

bool Seeds::holds(std::int64_t ref_panel) const {
    return std::any_of(std::begin(ball), std::end(ball), [&](const Ball& each) { return each.ref_panel == ref_panel; });
}

void CpuScan::run_by_balls(const Range& ref_panel, Progress& progress) {
    constexpr std::int64_t kLooksBetweenExchanges = 4;
    const std::int64_t num_balls = refs_.screen.num_refs;
    const Range centre_panel{ref_panel.begin / num_balls, (ref_panel.end + num_balls - 1) / num_balls};
    wanting_.resize(at(num_balls));
    seeds_.assign(at(block_.size()), {});
    if (wanted_.k > 0 && wanted_.k <= Seeds::kMost * num_balls) seed(centre_panel);
    // The staircase counts the pairs that pass the predicate: a look's share of the block's.
    std::int64_t num_pairs = 0;
    for (std::int64_t i = 0; i < block_.size(); ++i) num_pairs += stairs_.range[at(block_.first() + i)].size();
    num_pairs = num_pairs * ref_panel.size() / refs_.panels.num_panels;
    std::int64_t told = 0;
    for (std::int64_t c = centre_panel.begin; c < centre_panel.end && !progress.stop; ++c) {
        if ((c - centre_panel.begin) % kLooksBetweenExchanges == 0) exchange_floors();
        look(c, false);
        for (std::int64_t j = 0; j < num_balls; ++j) score_wanted(c * num_balls + j, wanting_[at(j)]);
        const std::int64_t done = num_pairs * (c + 1 - centre_panel.begin) / centre_panel.size();
        progress.done += done - told;
        told = done;
    }
}

// Score every query's nearest balls.
void CpuScan::seed(const Range& centre_panel) {
    for (std::int64_t c = centre_panel.begin; c < centre_panel.end; ++c) look(c, true);
    std::vector<std::pair<std::int64_t, std::uint32_t>> wanted;
    for (const std::uint32_t local : locals_) {
        for (const Seeds::Ball& ball : seeds_[local].ball) {
            if (ball.ref_panel >= 0) wanted.emplace_back(ball.ref_panel, local);
        }
    }
    std::sort(wanted.begin(), wanted.end());
    Locals wanting;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        wanting.push_back(wanted[i].second);
        if (i + 1 < wanted.size() && wanted[i + 1].first == wanted[i].first) continue;
        score_wanted(wanted[i].first, wanting);
        wanting.clear();
    }
    for (const std::uint32_t local : locals_) make_room(local);
}

// All query panels against a panel of centres: for each of its balls the queries that it can't be ruled out for, or,
// for seeds, each query's nearest.
void CpuScan::look(std::int64_t centre_panel, bool for_seeds) {
    const Panels& centres = refs_.balls->centres;
    const std::int64_t num_balls = refs_.screen.num_refs, first_ball = centre_panel * num_balls;
    const int count = static_cast<int>(std::min(num_balls, centres.num_rows - first_ball));
    const std::uint32_t exist = count == 32 ? ~std::uint32_t{0} : (std::uint32_t{1} << count) - 1;
    for (Locals& each : wanting_) each.clear();
    for (std::size_t p = 0; p < block_.panel.size(); ++p) {
        const QueryPanel& panel = block_.panel[p];
        const std::int64_t local = panel.first - block_.first();
        Reach nearer[kMaxQueries];
        // A dot of codes is the centre's score times both scales, nearly: seeds needn't be the very nearest.
        for (int i = 0; for_seeds && i < panel.num_queries; ++i) {
            nearer[i] = {seeds_[at(local + i)].least() * bound_[at(local + i)].inverse_scale(), 0};
        }
        const Reach* const reach = for_seeds ? nearer : &reach_[at(local)];
        bool any = false;
        centres.in_chunks([&](std::int64_t first, std::int64_t length, Chunk chunk) {
            const std::int8_t* const queries = packed_panel(p) + first * refs_.screen.panel_rows(panel.num_queries);
            any = refs_.screen.tile[panel.num_queries](queries, centres.panel(centre_panel, first), length, chunk, sums(0), reach, hits_);
        });
        num_screened_ += panel.num_queries * num_balls;
        if (!any) continue;
        const float* const inverse_scale = centres.panel(centre_panel, 0).inverse_scale;
        for (int i = 0; i < panel.num_queries; ++i) {
            const Range& range = stairs_.range[at(panel.first + i)];
            Seeds& seeds = seeds_[at(local + i)];
            for (std::uint32_t hit = hits_.hit[i] & exist; hit != 0; hit &= hit - 1) {
                const int j = __builtin_ctz(hit);
                const Range ranks = refs_.ranks_of(first_ball + j);
                if (ranks.end <= range.begin || ranks.begin >= range.end) continue;
                if (for_seeds) {
                    const float dot = static_cast<float>(hits_.dot[i * num_balls + j]);
                    const float score = dot / (bound_[at(local + i)].inverse_scale() * inverse_scale[j]);
                    if (score > seeds.least()) seeds.add(score, first_ball + j);
                } else if (!seeds.holds(first_ball + j)) {
                    wanting_[at(j)].push_back(static_cast<std::uint32_t>(local + i));
                }
            }
        }
    }
}

// A panel of references with these queries, gathered from wherever they lie.
void CpuScan::score_wanted(std::int64_t ref_panel, const Locals& wanting) {
    const std::int64_t height = refs_.screen.num_queries, total = static_cast<std::int64_t>(wanting.size());
    const std::int8_t* row[kMaxQueries];
    Reach reach[kMaxQueries];
    for (std::int64_t start = 0; start < total; start += height) {
        const int count = static_cast<int>(std::min(height, total - start));
        for (int i = 0; i < count; ++i) {
            const std::int64_t local = wanting[at(start + i)];
            row[i] = line(local);
            reach[i] = reach_[at(local)];
        }
        bool any = false;
        refs_.panels.in_chunks([&](std::int64_t first, std::int64_t length, Chunk chunk) {
            any = refs_.screen.gathered[count](row, first, refs_.panels.panel(ref_panel, first), length, chunk, sums(0), reach, hits_);
        });
        if (any) collect(&wanting[at(start)], count, ref_panel);
        num_screened_ += count * refs_.screen.num_refs;
    }
}

}  // namespace asl::ratio_search
