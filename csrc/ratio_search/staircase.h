// Which tiles a search needs. Queries stand in the order of by_range(); neighbours there form panels (one
// register tile high), panels form blocks (what a task holds in cache), and a task is a block of queries
// against a stretch of reference panels.
#pragma once

#include <cstdint>
#include <vector>

#include "norm_order.h"

namespace asl::ratio_search {

struct QueryPanel {
    std::int64_t first = 0;  // in the sorted list of queries
    int num_queries = 0;
    Range any;    // positions that some query of the panel needs
    Range every;  // positions that each of them needs: a tile inside wants no mask
};

struct Block {
    std::vector<QueryPanel> panel;
    Range any;

    std::int64_t first() const { return panel.front().first; }
    std::int64_t size() const { return panel.back().first + panel.back().num_queries - first(); }
};

struct Task {
    std::size_t block = 0;
    Range ref_panel;
};

struct Shape {
    int queries_per_panel = 0;
    int refs_per_panel = 0;
    std::int64_t queries_per_block = 0;  // at most
    std::int64_t grouped_panels = 0;     // above 0: positions aren't in norm order, any of so many panels may be needed
};

struct Staircase {
    std::vector<std::int64_t> query;  // sorted, longest range first
    std::vector<Range> range;         // by position in `query`
    std::vector<Block> block;         // queries whose range is empty are in none
    std::vector<Task> task;           // a block's tasks stand together
    std::int64_t num_pairs = 0;       // that pass the predicate

    Staircase(const std::vector<Range>& range_of_query, const Shape& shape, int num_threads);

   private:
    void cut_blocks(const Shape& shape, std::int64_t queries_per_block);
    void cut_tasks(const Shape& shape, int num_threads);
};

}  // namespace asl::ratio_search
