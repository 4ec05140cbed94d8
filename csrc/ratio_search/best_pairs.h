// The best pairs of many queries together: one pool that every task hands its pairs to, and one bar that
// rises with it.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <mutex>
#include <span>
#include <vector>

#include "ratio_search.h"

namespace asl::ratio_search {

// The worst pair that is still among the best. With equal scores, no later query can displace it.
struct Bar {
    double score = -std::numeric_limits<double>::infinity();
    std::int64_t query = std::numeric_limits<std::int64_t>::max();

    // A score of this query below it can't be in the answer.
    double floor(std::int64_t of_query) const {
        return of_query <= query ? score : std::nextafter(score, std::numeric_limits<double>::infinity());
    }
};

// Holds at most 2 * num_pairs + 4096 pairs. Any order of adding, from any threads, ends in the same answer.
class BestPairs {
   public:
    // Of each query only the best k compete (k = 0: all).
    BestPairs(std::int64_t num_pairs, std::int64_t k, const Better& better);

    void add(std::int64_t query, std::span<const Pair> pairs);
    Bar bar() const;
    std::vector<QueryPair> take();  // best first

   private:
    void compact();
    void drop_beyond_k();
    bool precedes(const QueryPair& a, const QueryPair& b) const;

    std::size_t num_pairs_;
    std::size_t capacity_;
    std::int64_t k_;
    Better better_;
    mutable std::mutex mutex_;
    std::vector<QueryPair> pair_;
    Bar bar_;
};

}  // namespace asl::ratio_search
