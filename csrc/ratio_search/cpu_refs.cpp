// Codes reach their place in two steps, each with few cache lines in flight: rows are read as they lie in the
// file and their codes written, row-major, where norm order puts them; then each panel is interleaved in place.
#include "cpu_refs.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "../common/threads.h"

namespace asl::ratio_search {
namespace {

std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

}  // namespace

// Row-major codes in norm order, while they come in.
class CpuRefs::Filling {
   public:
    explicit Filling(CpuRefs& refs) : refs_(refs), residual_(refs.num_panels * refs.screen.num_refs), position_(at(refs.rows.num_rows)) {
        for (std::int64_t p = 0; p < refs.rows.num_rows; ++p) position_[at(refs.order.row[at(p)])] = static_cast<std::uint32_t>(p);
        const std::int64_t num_rows = refs.rows.num_rows, num_padded = refs.num_panels * refs.screen.num_refs;
        std::fill(refs.code.data() + num_rows * refs.padded_dims, refs.code.data() + num_padded * refs.padded_dims, std::int8_t{0});
        std::fill(refs.inverse_scale.data() + num_rows, refs.inverse_scale.data() + num_padded, 0.0F);
    }

    const float* residual() const { return residual_.data(); }

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
    std::int8_t* code_of(std::int64_t row) { return refs_.code.data() + std::int64_t{position_[at(row)]} * refs_.padded_dims; }

    void finish(std::int64_t row, std::int8_t* code, float inverse_scale, float residual) {
        std::fill(code + refs_.rows.num_dims, code + refs_.padded_dims, std::int8_t{0});
        refs_.inverse_scale.data()[position_[at(row)]] = inverse_scale;
        residual_.data()[position_[at(row)]] = residual;
    }

    CpuRefs& refs_;
    Aligned<float> residual_;              // by position
    std::vector<std::uint32_t> position_;  // of each row
};

CpuRefs::CpuRefs(const StoredRows& refs, const StoredCodes* codes, std::int64_t hit_bytes_of_thread, int num_threads,
                 const Screen& chosen)
    : rows(refs),
      screen(chosen),
      order(refs.norm, refs.num_rows),
      num_panels((refs.num_rows + chosen.num_refs - 1) / chosen.num_refs),
      padded_dims(chosen.padded(refs.num_dims)),
      code(num_panels * chosen.num_refs * padded_dims),
      inverse_scale(num_panels * chosen.num_refs),
      start(num_panels * chosen.num_refs),
      bound(at(num_panels)),
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
    interleave(filling.residual(), num_threads);
}

void CpuRefs::interleave(const float* residual, int num_threads) {
    constexpr std::int64_t kPanelsPerTask = 64;
    Progress progress;
    run_tasks((num_panels + kPanelsPerTask - 1) / kPanelsPerTask, num_threads, progress, nullptr, [&](std::int64_t task) {
        const std::int64_t end = std::min((task + 1) * kPanelsPerTask, num_panels);
        for (std::int64_t p = task * kPanelsPerTask; p < end; ++p) {
            const std::int64_t first = p * screen.num_refs;
            const int count = static_cast<int>(std::min<std::int64_t>(screen.num_refs, rows.num_rows - first));
            bound[at(p)] = interleave_refs(screen, count, rows.num_dims, code.data() + first * padded_dims,
                                           inverse_scale.data() + first, residual + first, start.data() + first);
        }
    });
    for (const PanelBound& each : bound) longest = std::max(longest, each.length);
}

}  // namespace asl::ratio_search
