// Native checks of csrc/patch_overlap, for a run under sanitizers (scripts/sanitize.sh): no patch is shared out more
// than once, order and numbers are right, whatever the homography and the region. Exit status 1 at the first thing
// that is false.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "../../csrc/patch_overlap/patch_overlap.h"
#include "check.h"

namespace po = asl::patch_overlap;

int main() {
    std::mt19937 random(1);
    std::uniform_int_distribution<int> edge(1, 9), corners(0, 12);
    std::uniform_real_distribution<double> any(-1, 1);
    std::size_t total = 0;
    for (int round = 0; round < 20000; ++round) {
        const po::Grid a{edge(random), edge(random)}, b{edge(random), edge(random)};
        const double most = static_cast<double>(std::max(b.columns, b.rows));
        // on a circle in some order that goes round: convex; it may lie beside the grid
        std::vector<double> angle(static_cast<std::size_t>(corners(random)));
        for (double& one : angle) one = 3.2 * any(random);
        std::sort(angle.begin(), angle.end());
        const double x = most * any(random), y = most * any(random), radius = most * any(random);
        std::vector<po::Point> region;
        for (const double one : angle) region.push_back({x + radius * std::cos(one), y + radius * std::sin(one)});
        double matrix[9];
        for (double& one : matrix) one = 2 * any(random);
        matrix[6] = 0.02 * any(random);
        matrix[7] = 0.02 * any(random);
        matrix[8] = 1;
        std::vector<double> shared(static_cast<std::size_t>(a.columns * a.rows));
        const auto found = po::overlaps(matrix, region, a, b);
        for (std::size_t i = 0; i < found.size(); ++i) {
            CHECK(found[i].a >= 0 && found[i].a < a.columns * a.rows && found[i].b >= 0 &&
                  found[i].b < b.columns * b.rows && found[i].share > 0);
            CHECK(i == 0 || found[i - 1].a < found[i].a || (found[i - 1].a == found[i].a && found[i - 1].b < found[i].b));
            shared[static_cast<std::size_t>(found[i].a)] += found[i].share;
        }
        for (const double one : shared) CHECK(one <= 1 + 1e-6);
        total += found.size();
    }
    CHECK(total > 10000);
    std::puts("native checks of patch_overlap passed");
}
