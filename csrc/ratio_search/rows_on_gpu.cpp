#include "rows_on_gpu.h"

#include <algorithm>
#include <atomic>

#include "../common/threads.h"
#include "gpu_kernels.h"

namespace asl::ratio_search {
namespace {

constexpr std::int64_t kBlockBytes = std::int64_t{64} << 20;  // of rows on their way to the GPU
constexpr std::int64_t kRowsATask = 256;
constexpr std::int64_t kMostOut = std::int64_t{1} << 20;  // entries that are fetched at once: 16 MB

std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

// One block of rows before it is put.
struct Staged {
    std::vector<std::int8_t> code;
    std::vector<RefScale> scale;
    std::vector<float> value;
    std::vector<double> row_norm;
    std::vector<float> length;

    Staged(std::int64_t count, std::int64_t num_dims, std::int64_t padded_dims)
        : code(at(count * padded_dims), 0), scale(at(count)), value(at(count * num_dims)), row_norm(at(count)), length(at(count), 0.0F) {}
};

}  // namespace

std::int64_t RowsOnGpu::padded(std::int64_t num_dims) { return (num_dims + kSliceDims - 1) / kSliceDims * kSliceDims; }

RowsOnGpu::RowsOnGpu(Gpu& gpu, const StoredRows& rows, std::span<const std::int64_t> row, bool with_codes, int num_threads)
    : num_rows_(static_cast<std::int64_t>(row.size())),
      num_dims_(rows.num_dims),
      with_codes_(with_codes),
      code_(gpu, with_codes ? num_rows_ * padded(num_dims_) : 0),
      scale_(gpu, with_codes ? num_rows_ : 0),
      value_(gpu, num_rows_ * num_dims_),
      row_norm_(gpu, num_rows_),
      place_(gpu, num_rows_) {
    fill(rows, row, num_threads);
    if (num_rows_ > 0) place_.put(row.data(), 0, num_rows_);
}

void RowsOnGpu::fill(const StoredRows& rows, std::span<const std::int64_t> row, int num_threads) {
    const std::int64_t padded_dims = with_codes_ ? padded(num_dims_) : 0;
    const std::int64_t step = std::max<std::int64_t>(kBlockBytes / (4 * num_dims_ + padded_dims), 1);
    const MappedPages pages(rows.value, rows.num_bytes());
    for (std::int64_t first = 0; first < num_rows_; first += step) {
        const std::int64_t count = std::min(step, num_rows_ - first);
        Staged staged(count, num_dims_, padded_dims);
        Progress progress;
        run_tasks((count + kRowsATask - 1) / kRowsATask, num_threads, progress, nullptr, [&](std::int64_t task) {
            std::vector<double> read(pages.is_file() ? at(rows.row_bytes() / 8 + 1) : 0);
            for (std::int64_t i = task * kRowsATask; i < std::min((task + 1) * kRowsATask, count); ++i) {
                const std::int64_t r = row[at(first + i)];
                float* const value = &staged.value[at(i * num_dims_)];
                as_floats(pages.read(rows.stored(r), rows.row_bytes(), read.data()), rows.number, num_dims_, value);
                staged.row_norm[at(i)] = rows.row_norm[r];
                if (!with_codes_) continue;
                const CodedRow coded = encode(value, rows.row_norm[r], num_dims_, 127, &staged.code[at(i * padded_dims)]);
                staged.scale[at(i)] = {coded.inverse_scale, residual_in_codes(coded.residual, coded.inverse_scale)};
                staged.length[at(i)] = coded.length;
            }
        });
        value_.put(staged.value.data(), first * num_dims_, count * num_dims_);
        row_norm_.put(staged.row_norm.data(), first, count);
        if (!with_codes_) continue;
        code_.put(staged.code.data(), first * padded_dims, count * padded_dims);
        scale_.put(staged.scale.data(), first, count);
        longest_ = std::max(longest_, *std::max_element(staged.length.begin(), staged.length.end()));
    }
}

GpuRows RowsOnGpu::view() const {
    return {code_.data(), scale_.data(), value_.data(), row_norm_.data(), place_.data(), num_rows_, num_dims_, padded(num_dims_)};
}

ListsOnGpu::ListsOnGpu(Gpu& gpu, std::int64_t num_slots, std::int64_t capacity)
    : gpu_(gpu),
      num_slots_(num_slots),
      capacity_(capacity),
      entry_(gpu, num_slots * capacity),
      found_(gpu, num_slots),
      kept_(gpu, num_slots),
      floor_(gpu, num_slots),
      reach_(gpu, num_slots),
      packed_(gpu, num_slots),
      out_(gpu, std::min(num_slots * capacity, kMostOut)) {}

std::int64_t ListsOnGpu::slot_bytes(std::int64_t capacity) {
    const std::int64_t columns = 2 * sizeof(Count) + sizeof(double) + sizeof(Reach) + sizeof(PackedList);
    return capacity * static_cast<std::int64_t>(sizeof(Entry)) + columns;
}

GpuLists ListsOnGpu::view(std::int64_t k) {
    return {entry_.data(), capacity_, found_.data(), kept_.data(), floor_.data(), reach_.data(), k};
}

void ListsOnGpu::empty(std::int64_t num_slots) {
    const std::vector<Count> none(at(num_slots), 0);
    found_.put(none.data(), 0, num_slots);
    kept_.put(none.data(), 0, num_slots);
}

void ListsOnGpu::clear(std::span<const double> floor) {
    empty(static_cast<std::int64_t>(floor.size()));
    floor_.put(floor.data(), 0, static_cast<std::int64_t>(floor.size()));
}

std::vector<std::vector<Entry>> ListsOnGpu::take(std::int64_t num_slots, Which which) {
    std::vector<Count> length(at(num_slots));
    (which == Which::found ? found_ : kept_).get(length.data(), 0, num_slots);
    std::vector<std::vector<Entry>> lists(at(num_slots));
    std::vector<PackedList> part;
    std::int64_t filled = 0;
    const auto fetch = [&] {
        if (part.empty()) return;
        const std::vector<Entry> entry = fetched(part, filled);
        for (const PackedList& each : part) {
            const auto begin = entry.begin() + static_cast<std::ptrdiff_t>(each.offset);
            lists[at(each.slot)].insert(lists[at(each.slot)].end(), begin, begin + static_cast<std::ptrdiff_t>(each.length));
        }
        part.clear();
        filled = 0;
    };
    for (std::int64_t slot = 0; slot < num_slots; ++slot) {
        const std::int64_t all = std::min(static_cast<std::int64_t>(length[at(slot)]), capacity_);
        for (std::int64_t first = 0; first < all;) {
            const std::int64_t count = std::min(all - first, out_.size() - filled);
            part.push_back({slot, first, count, filled});
            filled += count;
            first += count;
            if (filled == out_.size()) fetch();
        }
    }
    fetch();
    return lists;
}

std::vector<Entry> ListsOnGpu::fetched(const std::vector<PackedList>& part, std::int64_t length) {
    packed_.put(part.data(), 0, static_cast<std::int64_t>(part.size()));
    gpu_.pack({view(0), packed_.data(), static_cast<std::int64_t>(part.size()), out_.data()});
    std::vector<Entry> entry(at(length));
    out_.get(entry.data(), 0, length);
    return entry;
}

}  // namespace asl::ratio_search
