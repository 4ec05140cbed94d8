// What one query has found so far, and the floor that an exact score must reach to matter.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ratio_search.h"

namespace asl::ratio_search {

// A pair that passed the screen: its exact score lies in [lower, upper].
struct Hit {
    float lower;
    float upper;
    std::uint32_t position;  // among the prepared references
};

// Exact scores of hits, in the order given.
class Scorer {
   public:
    virtual ~Scorer() = default;
    virtual void score(std::span<const Hit> hits, Pair* out) const = 0;
};

class Shortlist {
   public:
    // k = 0 keeps everything at or above the floor, which starts at min_score. `buffer` is borrowed; hits wait in it unscored.
    Shortlist(std::int64_t k, double min_score, const Better& better, std::span<Hit> buffer);

    // How large a buffer should be for queries whose range is at most max_range long.
    static std::int64_t buffer_size(std::int64_t k, std::int64_t max_range);

    // A score below this can't be in the answer. It only ever rises.
    double floor() const { return floor_; }
    // Take over a floor proven elsewhere for the same query.
    void raise(double floor);

    bool has_room(std::int64_t num_hits) const {
        return num_hits_ + num_hits <= static_cast<std::int64_t>(buffer_.size());
    }
    void add(Hit hit) { buffer_[static_cast<std::size_t>(num_hits_++)] = hit; }

    // Make room: drop what the hits themselves rule out, score the likeliest to raise the floor, and score
    // the rest if they are still too many.
    void compact(const Scorer& scorer);

    // Score the waiting hits, as far as they can still matter, and merge them into the answer so far.
    void settle(const Scorer& scorer);

    // Merge exactly scored pairs into the answer so far.
    void merge(std::span<const Pair> pairs);

    // Raise the floor as if these pairs had been merged, without keeping them.
    void learn(std::span<const Pair> pairs);

    // Pairs merged so far.
    std::int64_t num_scored() const { return num_scored_; }

    // The answer so far, best first; the list goes on without it. Every hit must have been settled.
    std::vector<Pair> take();

   private:
    std::span<Hit> waiting() const { return buffer_.first(static_cast<std::size_t>(num_hits_)); }
    void drop_below_floor();
    void score_first(std::int64_t count, const Scorer& scorer);

    std::int64_t k_;
    Better better_;
    std::span<Hit> buffer_;
    std::int64_t num_hits_ = 0;
    double floor_;
    std::int64_t num_scored_ = 0;
    std::vector<Pair> settled_;  // at most k, in no order
};

// The best k of many lists of one query, best first.
std::vector<Pair> merged(std::vector<std::vector<Pair>> lists, std::int64_t k, const Better& better);

}  // namespace asl::ratio_search
