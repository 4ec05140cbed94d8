#include "shortlist.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace asl::ratio_search {
namespace {

// A tile brings a query at most this many hits at once.
constexpr std::int64_t kMaxTileWidth = 64;

float rounded_down(double x) {
    const float near = static_cast<float>(x);
    return static_cast<double>(near) > x ? std::nextafter(near, -std::numeric_limits<float>::infinity()) : near;
}

void keep_best(std::vector<Pair>& pairs, std::int64_t k) {
    if (k == 0 || static_cast<std::int64_t>(pairs.size()) <= k) return;
    std::nth_element(pairs.begin(), pairs.begin() + (k - 1), pairs.end(), better);
    pairs.resize(static_cast<std::size_t>(k));
}

}  // namespace

Shortlist::Shortlist(std::int64_t k, double min_score, double slack, std::span<Hit> buffer)
    : k_(k),
      min_score_(min_score),
      slack_(slack),
      buffer_(buffer),
      floor_(min_score),
      threshold_(rounded_down(min_score - slack)) {}

std::int64_t Shortlist::buffer_size(std::int64_t k, std::int64_t max_range) {
    const std::int64_t wanted = k == 0 ? 256 : k > max_range ? max_range : k + std::max<std::int64_t>(k, 64);
    return std::min(wanted, max_range) + 2 * kMaxTileWidth;
}

void Shortlist::raise(double floor) {
    floor_ = std::max(floor_, floor);
    threshold_ = std::max(threshold_, rounded_down(floor_ - slack_));
}

void Shortlist::compact(const Scorer& scorer) {
    if (k_ > 0 && num_hits_ > k_ && settled_.empty()) {
        const auto first = buffer_.begin();
        std::nth_element(first, first + (k_ - 1), first + num_hits_,
                         [](const Hit& a, const Hit& b) { return a.score > b.score; });
        // k hits score at least this much, so the k-th best of all does too.
        raise(static_cast<double>(buffer_[static_cast<std::size_t>(k_ - 1)].score) - slack_);
        const auto last = std::partition(first, first + num_hits_,
                                         [&](const Hit& hit) { return hit.score >= threshold_; });
        num_hits_ = last - first;
        if (2 * num_hits_ <= static_cast<std::int64_t>(buffer_.size())) return;
    }
    settle(scorer);  // near-ties beyond count: only exact scores can tell them apart
}

void Shortlist::settle(const Scorer& scorer) {
    std::vector<Pair> pairs(static_cast<std::size_t>(num_hits_));
    scorer.score(buffer_.first(static_cast<std::size_t>(num_hits_)), pairs.data());
    num_hits_ = 0;
    merge(pairs);
}

void Shortlist::merge(std::span<const Pair> pairs) {
    for (const Pair& pair : pairs) {
        if (pair.score >= min_score_) settled_.push_back(pair);
    }
    keep_best(settled_, k_);
    if (k_ == 0 || static_cast<std::int64_t>(settled_.size()) < k_) return;
    raise(std::max_element(settled_.begin(), settled_.end(), better)->score);
}

void Shortlist::learn(std::span<const Pair> pairs) {
    Shortlist trial = *this;
    trial.merge(pairs);
    raise(trial.floor_);
}

std::vector<Pair> Shortlist::take() {
    std::sort(settled_.begin(), settled_.end(), better);
    return std::move(settled_);
}

std::vector<Pair> merged(std::vector<std::vector<Pair>> lists, std::int64_t k) {
    std::vector<Pair> all = std::move(lists.front());
    for (std::size_t i = 1; i < lists.size(); ++i) all.insert(all.end(), lists[i].begin(), lists[i].end());
    if (lists.size() == 1) return all;
    keep_best(all, k);
    std::sort(all.begin(), all.end(), better);
    return all;
}

}  // namespace asl::ratio_search
