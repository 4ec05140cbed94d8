// A ball around the rows of each panel: a centre, coded as a row is, whose residual reaches to the farthest of them.
//
// For every row v of the panel |v - c^| <= residual, with c^ the centre's code times its scale: exactly what codes.h asks
// of a row's own code. So the screen's test holds word for word, and a query that the centre's code rules out
// needs no row of the panel.
#pragma once

#include <cstdint>
#include <vector>

#include "norm_order.h"
#include "panels.h"

namespace asl::ratio_search {

struct Balls {
    Panels centres;            // row p: of panel p
    std::vector<Range> ranks;  // of panel p's rows in norm order, from the first to behind the last

    // Puts `rows`, row-major and with one residual each, into an order of small balls, tightest panels first.
    // order: the rows' present positions in their new order, as grouped() has it; the panels in it are sorted.
    Balls(Panels& rows, float* residual, std::vector<std::uint32_t>& order, int num_threads);
};

}  // namespace asl::ratio_search
