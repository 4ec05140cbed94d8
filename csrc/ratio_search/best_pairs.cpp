#include "best_pairs.h"

#include <algorithm>
#include <utility>

namespace asl::ratio_search {

BestPairs::BestPairs(std::int64_t num_pairs, std::int64_t k, const Better& better)
    : num_pairs_(static_cast<std::size_t>(num_pairs)),
      capacity_(num_pairs_ + std::max<std::size_t>(num_pairs_, 4096)),
      k_(k),
      better_(better) {}

void BestPairs::add(std::int64_t query, std::span<const Pair> pairs) {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (const Pair& pair : pairs) {
        if (!(pair.score >= bar_.floor(query))) continue;
        if (pair_.size() == capacity_) compact();
        pair_.push_back({pair.score, query, pair.row});
    }
}

Bar BestPairs::bar() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return bar_;
}

std::vector<QueryPair> BestPairs::take() {
    compact();
    std::sort(pair_.begin(), pair_.end(), [&](const QueryPair& a, const QueryPair& b) { return precedes(a, b); });
    return std::exchange(pair_, {});
}

bool BestPairs::precedes(const QueryPair& a, const QueryPair& b) const {
    if (a.score != b.score) return a.score > b.score;
    return a.query < b.query || (a.query == b.query && better_.place(a.row) < better_.place(b.row));
}

// The bar never has to fall again: a pair that comes later joins its query's best k, or takes the place of
// a worse one there, or changes nothing.
void BestPairs::compact() {
    if (k_ > 0) drop_beyond_k();
    if (pair_.size() < num_pairs_) return;
    const auto last = pair_.begin() + static_cast<std::ptrdiff_t>(num_pairs_ - 1);
    std::nth_element(pair_.begin(), last, pair_.end(),
                     [&](const QueryPair& a, const QueryPair& b) { return precedes(a, b); });
    bar_ = {last->score, last->query};
    pair_.erase(last + 1, pair_.end());
}

void BestPairs::drop_beyond_k() {
    std::sort(pair_.begin(), pair_.end(), [&](const QueryPair& a, const QueryPair& b) {
        return a.query != b.query ? a.query < b.query : precedes(a, b);
    });
    std::int64_t num_kept = 0, query = -1;
    std::erase_if(pair_, [&](const QueryPair& pair) {
        num_kept = pair.query == query ? num_kept + 1 : 1;
        query = pair.query;
        return num_kept > k_;
    });
}

}  // namespace asl::ratio_search
