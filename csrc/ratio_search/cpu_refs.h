// References of the CPU path: int8 codes in norm order, interleaved for one instruction set.
#pragma once

#include <vector>

#include "../common/aligned.h"
#include "best_pairs.h"
#include "norm_order.h"
#include "screen.h"
#include "staircase.h"
#include "stored_rows.h"

namespace asl::ratio_search {

struct CpuRefs : Refs {
    StoredRows rows;
    const Screen& screen;
    NormOrder order;
    std::int64_t num_panels;
    std::int64_t padded_dims;
    Aligned<std::int8_t> code;  // num_panels x padded_dims x screen.num_refs
    Aligned<float> inverse_scale;
    Aligned<std::int32_t> start;
    std::vector<PanelBound> bound;  // one a panel
    float longest = 0;              // the largest length of all
    std::int64_t hit_bytes;         // for the waiting hits of a block of queries
    mutable MappedPages pages;      // under the rows: searches score survivors from there

    // codes: null, and they are made from the rows.
    CpuRefs(const StoredRows& refs, const StoredCodes* codes, std::int64_t hit_bytes_of_thread, int num_threads,
            const Screen& chosen);
    const char* path() const override { return screen.name; }
    bool search(const Rows& queries, const Wanted& wanted, int num_threads, const Tell& tell,
                Found& found) const override;
    bool best_pairs(const Rows& queries, const Wanted& wanted, std::int64_t num_pairs, int num_threads,
                    const Tell& tell, std::vector<QueryPair>& best) const override;

    // The panel from its first_dim on.
    RefPanel panel(std::int64_t index, std::int64_t first_dim) const {
        const std::int64_t first = index * screen.num_refs;
        return {code.data() + first * padded_dims + first_dim * screen.num_refs, inverse_scale.data() + first,
                start.data() + first, bound[static_cast<std::size_t>(index)].residual};
    }

   private:
    class Filling;
    void interleave(const float* residual, int num_threads);
    Staircase staircase(const Rows& queries, const Wanted& wanted, int num_threads) const;
    // Every task of the staircase: one answer each, or all into the pool. False if `tell` asked to stop.
    bool scan(const Rows& queries, const Wanted& wanted, const Staircase& stairs, int num_threads, const Tell& tell,
              BestPairs* pool, std::vector<Found>& answer) const;
};

}  // namespace asl::ratio_search
