#include "shortlist.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace asl::ratio_search {
namespace {

// A tile brings a query at most this many hits at once.
constexpr std::int64_t kMaxTileWidth = 32;

void keep_best(std::vector<Pair>& pairs, std::int64_t k, const Better& better) {
    if (k == 0 || static_cast<std::int64_t>(pairs.size()) <= k) return;
    std::nth_element(pairs.begin(), pairs.begin() + (k - 1), pairs.end(), better);
    pairs.resize(static_cast<std::size_t>(k));
}

}  // namespace

Shortlist::Shortlist(std::int64_t k, double min_score, const Better& better, std::span<Hit> buffer)
    : k_(k), better_(better), buffer_(buffer), floor_(min_score) {}

std::int64_t Shortlist::buffer_size(std::int64_t k, std::int64_t max_range) {
    const std::int64_t wanted = k == 0 ? 256 : k > max_range ? max_range : k + std::max<std::int64_t>(k, 64);
    return std::min(wanted, max_range) + 2 * kMaxTileWidth;
}

void Shortlist::raise(double floor) { floor_ = std::max(floor_, floor); }

void Shortlist::drop_below_floor() {
    const auto last = std::partition(waiting().begin(), waiting().end(),
                                     [&](const Hit& hit) { return static_cast<double>(hit.upper) >= floor_; });
    num_hits_ = last - waiting().begin();
}

// Score `count` hits from the front and close the gap.
void Shortlist::score_first(std::int64_t count, const Scorer& scorer) {
    std::vector<Pair> pairs(static_cast<std::size_t>(count));
    scorer.score(waiting().first(pairs.size()), pairs.data());
    std::copy(waiting().begin() + count, waiting().end(), buffer_.begin());
    num_hits_ -= count;
    merge(pairs);
}

void Shortlist::compact(const Scorer& scorer) {
    if (k_ > 0 && num_hits_ > k_) {
        const auto nth = waiting().begin() + (k_ - 1);
        std::nth_element(waiting().begin(), nth, waiting().end(),
                         [](const Hit& a, const Hit& b) { return a.lower > b.lower; });
        raise(static_cast<double>(nth->lower));  // k hits score at least this, so the k-th best of all does too
        const auto likely = std::partition(waiting().begin(), nth + 1, [&](const Hit& hit) {
            return static_cast<double>(hit.lower) + static_cast<double>(hit.upper) >= 2 * floor_;
        });
        score_first(likely - waiting().begin(), scorer);
        drop_below_floor();
        if (2 * num_hits_ <= static_cast<std::int64_t>(buffer_.size())) return;
    }
    settle(scorer);  // near-ties beyond count: only exact scores can tell them apart
}

void Shortlist::settle(const Scorer& scorer) {
    constexpr std::int64_t kStep = 16;
    drop_below_floor();
    // From the back, so that nothing moves: the most promising hits stand there.
    std::sort(waiting().begin(), waiting().end(), [](const Hit& a, const Hit& b) { return a.upper < b.upper; });
    std::vector<Pair> pairs;
    while (num_hits_ > 0 && static_cast<double>(waiting().back().upper) >= floor_) {
        pairs.resize(static_cast<std::size_t>(std::min(kStep, num_hits_)));
        scorer.score(waiting().last(pairs.size()), pairs.data());
        num_hits_ -= static_cast<std::int64_t>(pairs.size());
        merge(pairs);
    }
    num_hits_ = 0;
}

void Shortlist::merge(std::span<const Pair> pairs) {
    num_scored_ += static_cast<std::int64_t>(pairs.size());
    for (const Pair& pair : pairs) {
        if (pair.score >= floor_) settled_.push_back(pair);
    }
    keep_best(settled_, k_, better_);
    if (k_ == 0 || static_cast<std::int64_t>(settled_.size()) < k_) return;
    raise(std::max_element(settled_.begin(), settled_.end(), better_)->score);
}

void Shortlist::learn(std::span<const Pair> pairs) {
    Shortlist trial = *this;
    trial.merge(pairs);
    raise(trial.floor_);
}

std::vector<Pair> Shortlist::take() {
    std::sort(settled_.begin(), settled_.end(), better_);
    return std::exchange(settled_, {});
}

std::vector<Pair> merged(std::vector<std::vector<Pair>> lists, std::int64_t k, const Better& better) {
    std::vector<Pair> all = std::move(lists.front());
    for (std::size_t i = 1; i < lists.size(); ++i) all.insert(all.end(), lists[i].begin(), lists[i].end());
    if (lists.size() == 1) return all;
    keep_best(all, k, better);
    std::sort(all.begin(), all.end(), better);
    return all;
}

}  // namespace asl::ratio_search
