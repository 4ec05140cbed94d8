#include "staircase.h"

#include <algorithm>

namespace asl::ratio_search {
namespace {

constexpr std::int64_t kTasksPerThread = 2;  // evens out the staircase between threads
constexpr std::int64_t kMinPanels = 4;       // query panels of a block: references are read once per block
constexpr std::int64_t kMinStretch = 64;     // reference panels of a task: fewer aren't worth its start

std::int64_t divided_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

Range united(const Range& a, const Range& b) { return {std::min(a.begin, b.begin), std::max(a.end, b.end)}; }

Range shared(const Range& a, const Range& b) { return {std::max(a.begin, b.begin), std::min(a.end, b.end)}; }

}  // namespace

Staircase::Staircase(const std::vector<Range>& range_of_query, const Shape& shape, int num_threads)
    : query(by_range(range_of_query)) {
    for (const std::int64_t q : query) {
        range.push_back(range_of_query[static_cast<std::size_t>(q)]);
        num_pairs += range.back().size();
    }
    const std::int64_t num_queries = static_cast<std::int64_t>(query.size());
    const std::int64_t wanted_blocks = num_threads > 1 ? kTasksPerThread * num_threads : 1;
    const std::int64_t even = std::max(divided_up(num_queries, wanted_blocks), kMinPanels * shape.queries_per_panel);
    const std::int64_t panels = std::min(even, shape.queries_per_block) / shape.queries_per_panel;
    cut_blocks(shape, std::max<std::int64_t>(panels, 1) * shape.queries_per_panel);
    cut_tasks(shape, num_threads);
}

void Staircase::cut_blocks(const Shape& shape, std::int64_t queries_per_block) {
    std::size_t num_queries = query.size();
    while (num_queries > 0 && range[num_queries - 1].size() == 0) --num_queries;
    for (std::size_t first = 0; first < num_queries;) {
        const std::size_t block_end = std::min(first + static_cast<std::size_t>(queries_per_block), num_queries);
        Block cut{{}, range[first]};
        while (first < block_end) {
            const std::size_t end = std::min(first + static_cast<std::size_t>(shape.queries_per_panel), block_end);
            QueryPanel panel{static_cast<std::int64_t>(first), static_cast<int>(end - first), range[first], range[first]};
            for (; first < end; ++first) {
                panel.any = united(panel.any, range[first]);
                panel.every = shared(panel.every, range[first]);
            }
            cut.any = united(cut.any, panel.any);
            cut.panel.push_back(panel);
        }
        block.push_back(std::move(cut));
    }
}

// One task a block, unless that leaves threads idle: then a block's references are divided.
void Staircase::cut_tasks(const Shape& shape, int num_threads) {
    if (block.empty()) return;
    const std::int64_t num_blocks = static_cast<std::int64_t>(block.size());
    const bool enough = num_threads <= 1 || num_blocks >= 2 * num_threads;
    const std::int64_t wanted = enough ? 1 : divided_up(kTasksPerThread * num_threads, num_blocks);
    for (std::size_t b = 0; b < block.size(); ++b) {
        const bool grouped = shape.grouped_panels > 0;
        const std::int64_t begin = grouped ? 0 : block[b].any.begin / shape.refs_per_panel;
        const std::int64_t end = grouped ? shape.grouped_panels : divided_up(block[b].any.end, shape.refs_per_panel);
        const std::int64_t least = std::max(divided_up(end - begin, wanted), kMinStretch);
        // The balls of a panel of centres are looked at together.
        const std::int64_t stretch = grouped ? divided_up(least, shape.refs_per_panel) * shape.refs_per_panel : least;
        for (std::int64_t p = begin; p < end; p += stretch) task.push_back({b, {p, std::min(p + stretch, end)}});
    }
}

}  // namespace asl::ratio_search
