// One task of the CPU path: a block of queries against a stretch of references.
#pragma once

#include <atomic>
#include <vector>

#include "../common/aligned.h"
#include "cpu_refs.h"
#include "shortlist.h"
#include "staircase.h"

namespace asl::ratio_search {

// The highest floor that any task has proven for each query, by position in the staircase. Which task
// proved it, and when, changes what is screened out but never the answer.
using Floors = std::vector<std::atomic<double>>;

// The balls whose centres a query is nearest to: they are scored first, so that its floor rises.
struct Seeds {
    static constexpr int kMost = 4;
    struct Ball {
        float score = -4;  // of the centre; below all scores
        std::int64_t ref_panel = -1;
    };
    Ball ball[kMost];  // best first

    float least() const { return ball[kMost - 1].score; }
    void add(float score, std::int64_t ref_panel);
    bool holds(std::int64_t ref_panel) const;
};

class CpuScan {
   public:
    // pool: takes what is found, if there is one.
    CpuScan(const CpuRefs& refs, const Rows& queries, const Wanted& wanted, const Staircase& stairs, const Block& block,
            Floors& floors, BestPairs* pool);

    // Every query of the block against panels of references. Returns early when told to stop.
    void run(const Range& ref_panel, Progress& progress);

    // The answers of this stretch, in the order of the block's queries; empty lists where a pool took them.
    std::vector<std::vector<Pair>> take();

   private:
    using Locals = std::vector<std::uint32_t>;  // queries, by their place in the block

    void run_in_order(const Range& ref_panel, Progress& progress);
    std::int64_t score_panel(std::int64_t ref_panel, std::int64_t next_panel);
    void collect(const std::uint32_t* local, int count, std::int64_t ref_panel);
    std::uint32_t allowed(std::int64_t local, std::int64_t ref_panel) const;
    void pack_panel(std::size_t p);

    // cpu_scan_balls.cpp: the same with references in small balls, most of which are skipped.
    void run_by_balls(const Range& ref_panel, Progress& progress);
    void seed(const Range& centre_panel);
    void look(std::int64_t centre_panel, bool for_seeds);
    void score_wanted(std::int64_t ref_panel, const Locals& wanting);

    std::int64_t query(std::int64_t local) const;
    std::int64_t panel_bytes() const { return refs_.screen.panel_rows(refs_.screen.num_queries) * refs_.panels.padded_dims; }
    std::int8_t* line(std::int64_t local) { return lines_.data() + local * refs_.panels.padded_dims; }
    std::int8_t* packed_panel(std::size_t p) { return packed_.data() + static_cast<std::int64_t>(p) * panel_bytes(); }
    std::int32_t* sums(std::size_t p) { return sums_.data() + static_cast<std::int64_t>(p) * kTileDots; }
    void exchange_floors();
    void exchange_floor(std::int64_t local, const Bar& bar);
    void look_from(std::int64_t ref_panel);
    double ratio_to(std::int64_t local, double ref_norm) const { return queries_.norm[query(local)] / ref_norm; }
    Bar bar() const { return pool_ == nullptr ? Bar{} : pool_->bar(); }
    void make_room(std::int64_t local);
    void count() const;

    const CpuRefs& refs_;
    const Rows& queries_;
    const Wanted& wanted_;
    const Staircase& stairs_;
    const Block& block_;
    Floors& floors_;
    BestPairs* pool_;
    Aligned<std::int8_t> packed_;  // the block's codes, panel by panel
    Aligned<std::int8_t> lines_;   // the same, row-major
    Aligned<std::int32_t> sums_;   // of each query panel between chunks of dimensions
    std::int64_t buffer_size_;
    std::vector<Hit> buffer_;  // of all lists
    std::vector<Shortlist> list_;
    std::vector<QueryBound> bound_;
    std::vector<Reach> reach_;
    Locals locals_;            // 0, 1, 2, ...
    std::vector<Locals> wanting_;  // of the balls of one panel of centres: the queries that may find something in each
    std::vector<Seeds> seeds_;
    TileHits hits_;
    double largest_norm_;  // of the references that are screened before floors are exchanged again
    Counts* counts_;
    std::int64_t num_screened_ = 0;
    std::int64_t num_passed_ = 0;
};

}  // namespace asl::ratio_search
