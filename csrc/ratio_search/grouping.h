// Rows ordered by likeness, so that a panel of references fills a small ball and whole panels can be skipped.
#pragma once

#include <cstdint>
#include <vector>

#include "panels.h"

namespace asl::ratio_search {

// Whether many rows have so many near ones that skipping will save more than it costs. From a sample.
bool grouping_pays(const Panels& rows, int num_threads);

// All rows in an order in which every screen.num_refs in turn are near one another, as far as rows are; what is
// left over stands at the end. `rows`: row-major still. A heuristic: answers don't depend on it. The same on any number
// of threads.
std::vector<std::uint32_t> grouped(const Panels& rows, int num_threads);

}  // namespace asl::ratio_search
