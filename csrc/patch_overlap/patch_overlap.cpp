#include "patch_overlap.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace asl::patch_overlap {
namespace {

constexpr double kEmpty = 1e-9;  // of a patch: less is rounding

using Polygon = std::vector<Point>;

// The half plane a x + b y + c >= 0.
struct Line {
    double a, b, c;
    double depth(Point p) const { return a * p.x + b * p.y + c; }
};

struct Span {
    double low, high;
};

template <double Point::* axis>
Span span_of(const Polygon& polygon) {
    Span span{polygon[0].*axis, polygon[0].*axis};
    for (const Point& p : polygon) {
        span.low = std::min(span.low, p.*axis);
        span.high = std::max(span.high, p.*axis);
    }
    return span;
}

// Sutherland and Hodgman 1974; the polygon itself if none of it is cut off.
const Polygon& cut(const Polygon& polygon, const Line& line, Polygon& kept) {
    if (std::all_of(polygon.begin(), polygon.end(), [&](Point p) { return line.depth(p) >= 0; })) return polygon;
    kept.clear();
    Point last = polygon.back();
    double before = line.depth(last);
    for (const Point& p : polygon) {
        const double depth = line.depth(p);
        if ((before >= 0) != (depth >= 0)) {
            const double share = before / (before - depth);
            kept.push_back({last.x + share * (p.x - last.x), last.y + share * (p.y - last.y)});
        }
        if (depth >= 0) kept.push_back(p);
        last = p;
        before = depth;
    }
    return kept;
}

double area(const Polygon& polygon) {
    double twice = 0;
    for (std::size_t i = 2; i < polygon.size(); ++i) {
        const Point &o = polygon[0], &p = polygon[i - 1], &q = polygon[i];
        twice += (p.x - o.x) * (q.y - o.y) - (q.x - o.x) * (p.y - o.y);
    }
    return std::abs(twice) / 2;
}

std::vector<Line> sides(const Polygon& convex) {
    Point middle{0, 0};
    for (const Point& p : convex) {
        middle.x += p.x / static_cast<double>(convex.size());
        middle.y += p.y / static_cast<double>(convex.size());
    }
    std::vector<Line> lines;
    Point last = convex.back();
    for (const Point& p : convex) {
        Line line{last.y - p.y, p.x - last.x, 0};
        line.c = -(line.a * p.x + line.b * p.y);
        if (line.depth(middle) < 0) line = {-line.a, -line.b, -line.c};
        if (line.a != 0 || line.b != 0) lines.push_back(line);
        last = p;
    }
    return lines;
}

// The whole numbers k for which [k, k + 1] meets a span: first to last - 1, at least one, inside [0, count).
struct Slabs {
    std::int64_t first, last;
};

Slabs slabs_of(Span span, std::int64_t count) {
    const double most = static_cast<double>(count);
    const auto first = static_cast<std::int64_t>(std::clamp(std::floor(span.low), 0.0, most - 1));
    const auto last = static_cast<std::int64_t>(std::clamp(std::ceil(span.high), 0.0, most));
    return {first, std::max(last, first + 1)};
}

class Cutter {
public:
    Cutter(Grid a, std::vector<Overlap>& found) : a_(a), found_(found) {}

    // A piece of patch `b`, in a's patches.
    void share_out(const Polygon& piece, std::int64_t b) {
        const Slabs rows = slabs_of(span_of<&Point::y>(piece), a_.rows);
        for (std::int64_t row = rows.first; row < rows.last; ++row) {
            const double top = static_cast<double>(row);
            const Polygon& below = cut(piece, {0, 1, -top}, scratch_[0]);
            const Polygon& slab = cut(below, {0, -1, top + 1}, scratch_[1]);
            if (slab.size() < 3) continue;
            const Slabs columns = slabs_of(span_of<&Point::x>(slab), a_.columns);
            for (std::int64_t column = columns.first; column < columns.last; ++column) {
                const double left = static_cast<double>(column);
                const Polygon& right = cut(slab, {1, 0, -left}, scratch_[2]);
                const double share = area(cut(right, {-1, 0, left + 1}, scratch_[3]));
                if (share > kEmpty) found_.push_back({row * a_.columns + column, b, share});
            }
        }
    }

private:
    Grid a_;
    std::vector<Overlap>& found_;
    Polygon scratch_[4];
};

// Stable, so that what came in order of b stays in it.
std::vector<Overlap> in_order_of_a(const std::vector<Overlap>& found, std::int64_t num_a) {
    std::vector<std::size_t> place(static_cast<std::size_t>(num_a) + 1);
    for (const Overlap& one : found) ++place[static_cast<std::size_t>(one.a) + 1];
    for (std::size_t i = 1; i < place.size(); ++i) place[i] += place[i - 1];
    std::vector<Overlap> sorted(found.size());
    for (const Overlap& one : found) sorted[place[static_cast<std::size_t>(one.a)]++] = one;
    return sorted;
}

}  // namespace

std::vector<Overlap> overlaps(const double* m, const std::vector<Point>& region, Grid a, Grid b) {
    std::vector<Overlap> found;
    if (region.size() < 3 || area(region) == 0) return found;
    const std::vector<Line> lines = sides(region);
    const Slabs rows = slabs_of(span_of<&Point::y>(region), b.rows);
    const Slabs columns = slabs_of(span_of<&Point::x>(region), b.columns);
    Cutter cutter(a, found);
    Polygon patch, moved, scratch[2];
    for (std::int64_t row = rows.first; row < rows.last; ++row) {
        for (std::int64_t column = columns.first; column < columns.last; ++column) {
            const double left = static_cast<double>(column), top = static_cast<double>(row);
            patch = {{left, top}, {left + 1, top}, {left + 1, top + 1}, {left, top + 1}};
            const Polygon* piece = &patch;
            for (const Line& line : lines) {
                if (piece->empty()) break;
                piece = &cut(*piece, line, piece == &scratch[0] ? scratch[1] : scratch[0]);
            }
            if (piece->size() < 3) continue;
            moved.clear();
            for (const Point& p : *piece) {
                const double last = m[6] * p.x + m[7] * p.y + m[8];
                moved.push_back({(m[0] * p.x + m[1] * p.y + m[2]) / last, (m[3] * p.x + m[4] * p.y + m[5]) / last});
            }
            cutter.share_out(moved, row * b.columns + column);
        }
    }
    return in_order_of_a(found, a.columns * a.rows);
}

}  // namespace asl::patch_overlap
