// One task of the CPU path: a block of queries against a stretch of references.
#pragma once

#include <vector>

#include "../common/aligned.h"
#include "norm_order.h"
#include "screen.h"
#include "shortlist.h"
#include "staircase.h"

namespace asl::ratio_search {

struct CpuRefs : Refs {
    Rows rows;
    const Screen& screen;
    NormOrder order;
    std::int64_t num_panels;
    AlignedFloats packed;  // num_panels x num_dims x screen.num_refs

    CpuRefs(const Rows& refs, int num_threads, const Screen& chosen);
    const char* path() const override { return screen.name; }
    bool search(const Rows& queries, const Wanted& wanted, int num_threads, const Tell& tell,
                Found& found) const override;

    const float* panel(std::int64_t index) const { return packed.data() + index * screen.num_refs * rows.num_dims; }

   private:
    void pack_panel(std::int64_t index);
};

class CpuScan {
   public:
    CpuScan(const CpuRefs& refs, const Rows& queries, const Wanted& wanted, const Staircase& stairs, const Block& block);

    // Every query of the block against panels of references. Returns early when told to stop.
    void run(const Range& ref_panel, Progress& progress);

    // The answers of this stretch, in the order of the block's queries.
    std::vector<std::vector<Pair>> take();

   private:
    std::int64_t score_panel(std::int64_t ref_panel, const Range& tile);
    void collect(const QueryPanel& panel, const Range& tile);
    void pack_panel(std::size_t p);

    std::int64_t query(std::int64_t local) const;
    std::int64_t panel_floats() const { return (refs_.screen.num_queries * queries_.num_dims + 15) / 16 * 16; }
    float* packed_panel(std::size_t p) { return packed_.data() + static_cast<std::int64_t>(p) * panel_floats(); }
    float* sums(std::size_t p) { return sums_.data() + static_cast<std::int64_t>(p) * kTileFloats; }

    const CpuRefs& refs_;
    const Rows& queries_;
    const Staircase& stairs_;
    const Block& block_;
    AlignedFloats packed_;     // the block's unit rows, panel by panel
    std::int64_t chunk_dims_;
    AlignedFloats sums_;       // of each query panel between chunks of dimensions
    std::int64_t buffer_size_;
    std::vector<Hit> buffer_;  // of all lists
    std::vector<Shortlist> list_;
    std::vector<float> threshold_;
    TileHits hits_;
};

}  // namespace asl::ratio_search
