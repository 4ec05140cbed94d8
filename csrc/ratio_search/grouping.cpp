// Rounds of two steps. A tree of directions, grown on a sample by two-means, sends rows that are near one another to
// the same cell, mostly. In a cell all pairs are compared, and whoever has enough near neighbours forms a group with them,
// the tightest first. Rows that find none go to the next round, with other cells and a lower demand: a cut of the tree
// through a cloud of rows costs a round, not a group.
#include "grouping.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "../common/threads.h"

namespace asl::ratio_search {
namespace {

using Ids = std::vector<std::uint32_t>;

constexpr std::int64_t kCellRows = 512;      // about; all pairs of a cell are compared
constexpr std::int64_t kMostCellRows = 1024;
constexpr std::int64_t kLeastSample = 4096;
constexpr std::int64_t kSampleShare = 16;    // one row in so many grows the tree
constexpr std::int64_t kNodeSample = 256;    // rows that decide a node's direction
constexpr int kLloydSteps = 2;
constexpr std::int64_t kRowsPerTask = 4096;
// Least cosine within a group, to its first row, in 127ths: demanded one after the other, down to the round's own.
constexpr int kLevels[] = {126, 123, 119, 114, 108, 102, 95, 89, 83, 76, 70, 64, 51, 38, 25, 0};
constexpr int kLeastOfRound[] = {102, 102, 89, 70, 0};

std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

std::uint64_t mixed(std::uint64_t x) {  // splitmix64
    x += 0x9E3779B97F4A7C15ULL;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
    return x ^ (x >> 31);
}

void in_parallel(std::int64_t count, std::int64_t per_task, int num_threads,
                 const std::function<void(std::int64_t first, std::int64_t end)>& use) {
    Progress progress;
    run_tasks((count + per_task - 1) / per_task, num_threads, progress, nullptr,
              [&](std::int64_t task) { use(task * per_task, std::min((task + 1) * per_task, count)); });
}

// Halves again and again, each by the sign of a dot with a direction.
class Tree {
   public:
    Tree(const Panels& rows, Ids sample, std::int64_t rows_per_sample, std::uint64_t seed)
        : rows_(rows), sample_(std::move(sample)), leaf_rows_(std::max<std::int64_t>(kCellRows / rows_per_sample, 2)), random_(seed) {
        root_ = grown(0, static_cast<std::int64_t>(sample_.size()));
    }

    std::int64_t num_leaves() const { return num_leaves_; }

    std::int64_t leaf_of(std::uint32_t id) const {
        std::int64_t node = root_;
        while (node >= 0) node = child_[at(2 * node + (is_ahead(node, id) ? 1 : 0))];
        return ~node;
    }

   private:
    const std::int8_t* direction(std::int64_t node) const { return &direction_[at(node * rows_.padded_dims)]; }

    bool is_ahead(std::int64_t node, std::uint32_t id) const {
        return rows_.screen.code_dot(rows_.row(id), direction(node), rows_.padded_dims) > 0;
    }

    // Returns a node, or ~leaf.
    std::int64_t grown(std::int64_t begin, std::int64_t end) {
        if (end - begin > leaf_rows_) {
            const std::int64_t node = static_cast<std::int64_t>(child_.size() / 2);
            child_.resize(child_.size() + 2);
            direction_.resize(direction_.size() + at(rows_.padded_dims));
            aim(node, begin, end);
            const auto first = sample_.begin();
            const auto cut = std::partition(first + begin, first + end, [&](std::uint32_t id) { return !is_ahead(node, id); });
            const std::int64_t middle = cut - first;
            if (middle > begin && middle < end) {
                const std::int64_t behind = grown(begin, middle);
                child_[at(2 * node)] = behind;
                const std::int64_t ahead = grown(middle, end);
                child_[at(2 * node + 1)] = ahead;
                return node;
            }
            child_.resize(child_.size() - 2);
            direction_.resize(direction_.size() - at(rows_.padded_dims));
        }
        return ~num_leaves_++;
    }

    // Two-means on a part of the rows, started from two that are far apart.
    void aim(std::int64_t node, std::int64_t begin, std::int64_t end) {
        Ids some;
        const std::int64_t count = std::min(kNodeSample, end - begin);
        for (std::int64_t i = 0; i < count; ++i) some.push_back(sample_[at(begin + (end - begin) * i / count)]);
        random_ = mixed(random_);
        const std::uint32_t one = farthest(some, some[random_ % some.size()]), other = farthest(some, one);
        std::vector<float> to = unit({other}), from = unit({one});
        point(node, to, from);
        for (int step = 0; step < kLloydSteps; ++step) {
            Ids ahead, behind;
            for (const std::uint32_t id : some) (is_ahead(node, id) ? ahead : behind).push_back(id);
            if (ahead.empty() || behind.empty()) return;
            point(node, unit(ahead), unit(behind));
        }
    }

    std::uint32_t farthest(const Ids& ids, std::uint32_t from) const {
        float least = 0;
        std::uint32_t found = ids.front();
        for (const std::uint32_t id : ids) {
            const float alike = static_cast<float>(rows_.screen.code_dot(rows_.row(id), rows_.row(from), rows_.padded_dims)) /
                                rows_.inverse_scale.data()[id];
            if (id == ids.front() || alike < least) least = alike, found = id;
        }
        return found;
    }

    // The mean direction of these rows.
    std::vector<float> unit(const Ids& ids) const {
        std::vector<float> sum(at(rows_.padded_dims));
        for (const std::uint32_t id : ids) {
            const float scale = 1 / rows_.inverse_scale.data()[id];
            const std::int8_t* const code = rows_.row(id);
            for (std::size_t d = 0; d < sum.size(); ++d) sum[d] += scale * static_cast<float>(code[d]);
        }
        float square = 0;
        for (const float value : sum) square += value * value;
        const float scale = square > 0 ? 1 / std::sqrt(square) : 0;
        for (float& value : sum) value *= scale;
        return sum;
    }

    void point(std::int64_t node, const std::vector<float>& to, const std::vector<float>& from) {
        float largest = 0;
        for (std::size_t d = 0; d < to.size(); ++d) largest = std::max(largest, std::fabs(to[d] - from[d]));
        const float scale = largest > 0 ? 127 / largest : 0;
        std::int8_t* const code = &direction_[at(node * rows_.padded_dims)];
        for (std::size_t d = 0; d < to.size(); ++d) code[d] = static_cast<std::int8_t>(std::lround(scale * (to[d] - from[d])));
    }

    const Panels& rows_;
    Ids sample_;
    std::int64_t leaf_rows_;
    std::uint64_t random_;
    std::vector<std::int8_t> direction_;
    std::vector<std::int64_t> child_;
    std::int64_t num_leaves_ = 0;
    std::int64_t root_;
};

// Rows that came to the same leaf, in lists of at most kMostCellRows.
std::vector<Ids> cells(const Panels& rows, const Ids& ids, std::uint64_t seed, int num_threads) {
    const std::int64_t count = static_cast<std::int64_t>(ids.size());
    const std::int64_t wanted = std::min(count, std::max(kLeastSample, count / kSampleShare));
    Ids sample;
    for (std::int64_t i = 0; i < wanted; ++i) sample.push_back(ids[at(count * i / wanted)]);
    const Tree tree(rows, std::move(sample), count / wanted, seed);
    std::vector<std::uint32_t> leaf(ids.size());
    in_parallel(count, kRowsPerTask, num_threads, [&](std::int64_t first, std::int64_t end) {
        for (std::int64_t i = first; i < end; ++i) leaf[at(i)] = static_cast<std::uint32_t>(tree.leaf_of(ids[at(i)]));
    });
    std::vector<Ids> members(at(tree.num_leaves())), cut;
    for (std::size_t i = 0; i < ids.size(); ++i) members[leaf[i]].push_back(ids[i]);
    for (const Ids& cell : members) {
        const std::int64_t size = static_cast<std::int64_t>(cell.size());
        const std::int64_t parts = (size + kMostCellRows - 1) / kMostCellRows;
        for (std::int64_t part = 0; part < parts; ++part) {
            cut.emplace_back(cell.begin() + size * part / parts, cell.begin() + size * (part + 1) / parts);
        }
    }
    return cut;
}

// All pairs of a cell, and the groups that form among them.
class Cell {
   public:
    Cell(const Panels& rows, const Ids& ids)
        : ids_(ids),
          size_(static_cast<std::int64_t>(ids.size())),
          group_(rows.screen.num_refs),
          stride_((size_ + group_ - 1) / group_ * group_),
          alike_(at(size_ * stride_)),
          near_(ids.size(), 127),
          free_(ids.size(), 1),
          num_free_(size_) {
        compare(rows);
    }

    // Groups whose rows are all at least so like their first one, one after the other, and then whoever is left.
    void form(int least, Ids& groups, Ids& left) {
        for (const int level : kLevels) {
            if (level < least) break;
            for (std::int64_t i = 0; i < size_ && num_free_ >= group_; ++i) {
                if (free_[at(i)] == 0 || near_[at(i)] < level) continue;
                near_[at(i)] = nearness(i);
                if (near_[at(i)] >= level) take(i, groups);
            }
        }
        for (std::int64_t i = 0; i < size_; ++i) {
            if (free_[at(i)] != 0) left.push_back(ids_[at(i)]);
        }
    }

   private:
    void compare(const Panels& rows) {
        const Screen& screen = rows.screen;
        Panels cell(screen, size_, rows.num_dims);
        const std::vector<float> no_residual(at(cell.num_panels * screen.num_refs));
        for (std::int64_t i = 0; i < size_; ++i) {
            std::copy_n(rows.row(ids_[at(i)]), rows.padded_dims, cell.row(i));
            cell.inverse_scale.data()[i] = rows.inverse_scale.data()[ids_[at(i)]];
        }
        std::vector<float> factor(at(stride_));
        for (std::int64_t i = 0; i < size_; ++i) factor[at(i)] = 1 / cell.inverse_scale.data()[i];
        const std::int64_t height = screen.num_queries, num_queries = (size_ + height - 1) / height;
        const std::int64_t panel_bytes = screen.panel_rows(screen.num_queries) * cell.padded_dims;
        Aligned<std::int8_t> packed(num_queries * panel_bytes);
        std::fill_n(packed.data(), num_queries * panel_bytes, std::int8_t{0});
        std::vector<std::int8_t> line(at(cell.padded_dims));
        const int shift = screen.max_query_code < 127 ? 1 : 0;
        for (std::int64_t i = 0; i < size_; ++i) {
            const std::int8_t* const code = cell.row(i);
            for (std::size_t d = 0; d < line.size(); ++d) {
                line[d] = static_cast<std::int8_t>((code[d] >> shift) + screen.query_offset);
            }
            const int count = static_cast<int>(std::min(height, size_ - i / height * height));
            place_query(screen, line.data(), static_cast<int>(i % height), count, cell.padded_dims, cell.chunk_dims,
                        packed.data() + i / height * panel_bytes);
        }
        cell.interleave(no_residual.data(), 1);
        const float to_127ths = static_cast<float>(127 << shift);
        const std::vector<Reach> all(kMaxQueries, {-1e30F, 0});
        Aligned<std::int32_t> sums(kTileDots);
        TileHits hits;
        if (screen.enter != nullptr) screen.enter();
        for (std::int64_t p = 0; p < num_queries; ++p) {
            const int count = static_cast<int>(std::min(height, size_ - p * height));
            for (std::int64_t r = 0; r < cell.num_panels; ++r) {
                cell.in_chunks([&](std::int64_t first, std::int64_t length, Chunk chunk) {
                    (void)screen.tile[count](packed.data() + p * panel_bytes + first * screen.panel_rows(count), cell.panel(r, first),
                                             length, chunk, sums.data(), all.data(), hits);
                });
                for (int i = 0; i < count; ++i) {
                    const std::int64_t row = p * height + i;
                    screen.likeness(hits.dot + i * screen.num_refs, to_127ths * factor[at(row)], &factor[at(r * group_)],
                                    screen.num_refs, &alike_[at(row * stride_ + r * group_)]);
                }
            }
        }
        if (screen.leave != nullptr) screen.leave();
    }

    const std::uint8_t* alike(std::int64_t i) const { return &alike_[at(i * stride_)]; }

    // How alike the group's farthest would be if row i took its nearest free ones. It only ever falls.
    std::uint8_t nearness(std::int64_t i) const {
        std::array<std::int32_t, 128> number{};
        for (std::int64_t j = 0; j < size_; ++j) number[alike(i)[j]] += free_[at(j)];
        int level = 127;
        for (std::int32_t sum = number[127]; sum < group_ && level > 0; sum += number[at(level)]) --level;
        return static_cast<std::uint8_t>(level);
    }

    void take(std::int64_t i, Ids& groups) {
        const int least = near_[at(i)];
        std::int64_t taken = 0;
        const auto add = [&](bool nearer) {
            for (std::int64_t j = 0; j < size_ && taken < group_; ++j) {
                if (free_[at(j)] == 0 || (nearer ? alike(i)[j] <= least : alike(i)[j] != least)) continue;
                groups.push_back(ids_[at(j)]);
                free_[at(j)] = 0;
                ++taken;
            }
        };
        add(true);
        add(false);
        num_free_ -= taken;
    }

    const Ids& ids_;
    std::int64_t size_;
    std::int64_t group_;
    std::int64_t stride_;
    std::vector<std::uint8_t> alike_;  // (size, stride): the cosine in 127ths
    std::vector<std::uint8_t> near_;   // nearness, or what it was once
    std::vector<std::uint8_t> free_;
    std::int64_t num_free_;
};

}  // namespace

bool grouping_pays(const Panels& rows, int num_threads) {
    constexpr std::int64_t kProbes = 64, kThin = 8, kLeastRows = 1 << 16;
    constexpr double kNear = 0.8, kLeastShare = 0.5;
    if (rows.num_rows < kLeastRows) return false;
    std::vector<std::int64_t> near(kProbes);
    const std::int64_t needed = rows.screen.num_refs / kThin;  // of one row in kThin
    in_parallel(kProbes, 1, num_threads, [&](std::int64_t probe, std::int64_t) {
        const std::int64_t one = rows.num_rows / kProbes * probe;
        for (std::int64_t r = probe % kThin; r < rows.num_rows && near[at(probe)] < needed; r += kThin) {
            const double scale = static_cast<double>(rows.inverse_scale.data()[one]) * static_cast<double>(rows.inverse_scale.data()[r]);
            if (rows.screen.code_dot(rows.row(one), rows.row(r), rows.padded_dims) >= kNear * scale && r != one) ++near[at(probe)];
        }
    });
    const auto enough = std::count_if(near.begin(), near.end(), [&](std::int64_t number) { return number >= needed; });
    return static_cast<double>(enough) >= kLeastShare * kProbes;
}

std::vector<std::uint32_t> grouped(const Panels& rows, int num_threads) {
    Ids order, left(at(rows.num_rows));
    std::iota(left.begin(), left.end(), std::uint32_t{0});
    order.reserve(left.size());
    std::uint64_t seed = 0;
    for (const int least : kLeastOfRound) {
        if (static_cast<std::int64_t>(left.size()) < rows.screen.num_refs) break;
        const std::vector<Ids> parts = cells(rows, left, ++seed, num_threads);
        std::vector<Ids> formed(parts.size()), lone(parts.size());
        in_parallel(static_cast<std::int64_t>(parts.size()), 1, num_threads, [&](std::int64_t cell, std::int64_t) {
            Cell(rows, parts[at(cell)]).form(least, formed[at(cell)], lone[at(cell)]);
        });
        left.clear();
        for (const Ids& groups : formed) order.insert(order.end(), groups.begin(), groups.end());
        for (const Ids& each : lone) left.insert(left.end(), each.begin(), each.end());
    }
    order.insert(order.end(), left.begin(), left.end());
    return order;
}

}  // namespace asl::ratio_search
