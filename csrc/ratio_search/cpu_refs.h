// References of the CPU path: int8 codes in norm order, or grouped by likeness within small balls.
#pragma once

#include <memory>
#include <vector>

#include "balls.h"
#include "best_pairs.h"
#include "norm_order.h"
#include "panels.h"
#include "staircase.h"
#include "stored_rows.h"

namespace asl::ratio_search {

struct CpuRefs : Refs {
    StoredRows rows;
    const Screen& screen;
    NormOrder order;
    Panels panels;
    std::vector<std::uint32_t> rank;  // in norm order, of each position; empty if they are the same
    std::unique_ptr<Balls> balls;     // of the panels, if positions are grouped
    float longest = 0;                // the largest length of all codes
    std::int64_t hit_bytes;           // for the waiting hits of a block of queries
    mutable MappedPages pages;        // under the rows: searches score survivors from there

    // codes: null, and they are made from the rows.
    CpuRefs(const StoredRows& refs, const StoredCodes* codes, std::int64_t hit_bytes_of_thread, int num_threads,
            const Screen& chosen, Grouping grouping);
    const char* path() const override { return screen.name; }
    bool search(const Rows& queries, const Wanted& wanted, int num_threads, const Tell& tell,
                Found& found) const override;
    bool best_pairs(const Rows& queries, const Wanted& wanted, std::int64_t num_pairs, int num_threads,
                    const Tell& tell, std::vector<QueryPair>& best) const override;

    std::int64_t rank_of(std::int64_t position) const {
        return rank.empty() ? position : std::int64_t{rank[static_cast<std::size_t>(position)]};
    }
    std::int64_t row_of(std::int64_t position) const { return order.row[static_cast<std::size_t>(rank_of(position))]; }

    // Where a panel's rows stand in norm order. It goes beyond the last row if the panel isn't full.
    Range ranks_of(std::int64_t panel) const {
        const Range positions{panel * screen.num_refs, (panel + 1) * screen.num_refs};
        if (balls == nullptr || positions.end > rows.num_rows) return {balls == nullptr ? positions.begin : 0, positions.end};
        return balls->ranks[static_cast<std::size_t>(panel)];
    }

   private:
    class Filling;
    void group(float* residual, double least_small, int num_threads);
    Staircase staircase(const Rows& queries, const Wanted& wanted, int num_threads) const;
    // Every task of the staircase: one answer each, or all into the pool. False if `tell` asked to stop.
    bool scan(const Rows& queries, const Wanted& wanted, const Staircase& stairs, int num_threads, const Tell& tell,
              BestPairs* pool, std::vector<Found>& answer) const;
};

}  // namespace asl::ratio_search
