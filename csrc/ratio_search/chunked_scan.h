// The part of the CUDA path that is plain C++: batches of queries, chunks of references, thresholds that
// rise between chunks, and bounded buffers that may overflow but never drop a pair.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "norm_order.h"

namespace asl::ratio_search {

// What one query asks of one chunk: exact score >= floor, position inside the range.
struct Probe {
    std::int64_t query;  // number within the batch
    Range range;
    double floor;
    double bias;  // subtracted from its scores
};

struct ProbeHits {
    std::vector<Pair> pair;        // `row` is the position in norm order; at most capacity of them
    std::int64_t num_found = 0;    // may be more than were kept
};

// A machine that scores every pair of a chunk exactly and keeps the first `capacity` hits of each probe.
class ChunkDevice {
   public:
    virtual ~ChunkDevice() = default;
    virtual std::int64_t chunk_rows() const = 0;
    virtual std::int64_t capacity() const = 0;
    virtual std::int64_t batch_queries() const = 0;
    virtual void load(const Rows& queries, std::span<const std::int64_t> query) = 0;
    virtual void scan(std::span<const Probe> probe, const Range& chunk, std::vector<ProbeHits>& hits) = 0;
};

// Refs::search and Refs::best_pairs on such a machine.
bool chunked_search(ChunkDevice& device, const NormOrder& order, const Rows& queries, const Wanted& wanted,
                    const Tell& tell, Found& found);
bool chunked_best_pairs(ChunkDevice& device, const NormOrder& order, const Rows& queries, const Wanted& wanted,
                        std::int64_t num_pairs, const Tell& tell, std::vector<QueryPair>& best);

}  // namespace asl::ratio_search
