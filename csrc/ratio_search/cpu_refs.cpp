// Codes reach their place in steps, each with few cache lines in flight: rows are read as they lie in the file and
// their codes written, row-major, where norm order puts them; they may be grouped; then each panel is interleaved in place.
#include "cpu_refs.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "grouping.h"

namespace asl::ratio_search {
namespace {

constexpr double kLeastSmall = 0.5;  // of the balls: with fewer small ones, looking costs more than it saves

std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

}  // namespace

// Row-major codes in norm order, while they come in.
class CpuRefs::Filling {
   public:
    explicit Filling(CpuRefs& refs)
        : refs_(refs), residual_(refs.panels.num_panels * refs.screen.num_refs), position_(at(refs.rows.num_rows)) {
        for (std::int64_t p = 0; p < refs.rows.num_rows; ++p) position_[at(refs.order.row[at(p)])] = static_cast<std::uint32_t>(p);
    }

    float* residual() { return residual_.data(); }

    void encode(std::int64_t first, std::int64_t count, const float* block) {
        const StoredRows& rows = refs_.rows;
        for (std::int64_t r = first; r < first + count; ++r, block += rows.num_dims) {
            std::int8_t* const code = code_of(r);
            const CodedRow coded = asl::ratio_search::encode(block, rows.row_norm[r], rows.num_dims, 127, code);
            finish(r, code, coded.inverse_scale, coded.residual);
        }
    }

    void copy(std::int64_t first, std::int64_t count, const StoredCodes& codes) {
        const StoredRows& rows = refs_.rows;
        for (std::int64_t r = first; r < first + count; ++r) {
            const float inverse_scale = codes.inverse_scale[r], residual = codes.residual[r];
            if (!(std::isfinite(inverse_scale) && inverse_scale > 0 && std::isfinite(residual) && residual >= 0)) {
                throw std::invalid_argument("ratio_search: the codes of row " + std::to_string(r) + " have no valid scale or residual");
            }
            std::int8_t* const code = code_of(r);
            std::copy_n(codes.code + r * rows.num_dims, rows.num_dims, code);
            finish(r, code, inverse_scale, residual);
        }
    }

   private:
    std::int8_t* code_of(std::int64_t row) { return refs_.panels.row(std::int64_t{position_[at(row)]}); }

    void finish(std::int64_t row, std::int8_t* code, float inverse_scale, float residual) {
        std::fill(code + refs_.rows.num_dims, code + refs_.panels.padded_dims, std::int8_t{0});
        refs_.panels.inverse_scale.data()[position_[at(row)]] = inverse_scale;
        residual_.data()[position_[at(row)]] = residual;
    }

    CpuRefs& refs_;
    Aligned<float> residual_;              // by position
    std::vector<std::uint32_t> position_;  // of each row
};

CpuRefs::CpuRefs(const StoredRows& refs, const StoredCodes* codes, std::int64_t hit_bytes_of_thread, int num_threads,
                 const Screen& chosen, Grouping grouping)
    : rows(refs),
      screen(chosen),
      order(refs.norm, refs.num_rows),
      panels(chosen, refs.num_rows, refs.num_dims),
      hit_bytes(hit_bytes_of_thread),
      pages(refs.value, refs.num_bytes()) {
    Filling filling(*this);
    if (codes == nullptr) {
        read_blocks(rows, pages, num_threads, [&](std::int64_t first, std::int64_t count, const float* block) {
            filling.encode(first, count, block);
        });
    } else {
        const MappedPages code_pages(codes->code, rows.num_rows * rows.num_dims);
        in_blocks(rows, num_threads, [&](std::int64_t first, std::int64_t count) {
            filling.copy(first, count, *codes);
            code_pages.give_back(codes->code + first * rows.num_dims, count * rows.num_dims);
        });
    }
    if (grouping == Grouping::always || (grouping == Grouping::if_it_pays && grouping_pays(panels, num_threads))) {
        group(filling.residual(), grouping == Grouping::always ? 0.0 : kLeastSmall, num_threads);
    }
    panels.interleave(filling.residual(), num_threads);
    longest = std::max(longest, panels.longest);
}

void CpuRefs::group(float* residual, double least_small, int num_threads) {
    std::vector<std::uint32_t> order_of_groups = grouped(panels, num_threads);
    auto around = std::make_unique<Balls>(panels, residual, order_of_groups, num_threads);
    if (around->small_share < least_small) return;
    rank = std::move(order_of_groups);
    reorder(panels, residual, rank);
    balls = std::move(around);
    longest = balls->centres.longest;
}

}  // namespace asl::ratio_search
