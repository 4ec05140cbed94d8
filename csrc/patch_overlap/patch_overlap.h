// Which patches of two views show a common piece of a photo, and how much of it: areas exact.
#pragma once

#include <cstdint>
#include <vector>

namespace asl::patch_overlap {

struct Point {
    double x, y;
};

// A view cut into columns x rows patches, numbered row by row; points are in patches, (0, 0) is the corner.
struct Grid {
    std::int64_t columns, rows;
};

struct Overlap {
    std::int64_t a, b;
    double share;  // of patch a's area that lies in patch b
};

// matrix: 3 x 3 homography, row by row, from points of b to points of a; its last coordinate is positive all over
// the region.  region: corners of a convex polygon in b, either way round, that alone counts.  Sorted by a, then b.
std::vector<Overlap> overlaps(const double* matrix, const std::vector<Point>& region, Grid a, Grid b);

}  // namespace asl::patch_overlap
