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
    double small_share;        // of the panels: with a radius that lets most queries pass them by

    // Around `rows` that will stand in `order`: the present positions of rows, row-major and with one residual each,
    // as grouped() has them. The panels in it are sorted, tightest first.
    Balls(const Panels& rows, const float* residual, std::vector<std::uint32_t>& order, int num_threads);
};

// Every row to its place.
void reorder(Panels& rows, float* residual, const std::vector<std::uint32_t>& order);

}  // namespace asl::ratio_search
