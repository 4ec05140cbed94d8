#include "rows_on_gpu.h"

#include <algorithm>
#include <cstring>

#include "../common/threads.h"
#include "gpu_kernels.h"

namespace asl::ratio_search {
namespace {

constexpr std::int64_t kBlockBytes = std::int64_t{64} << 20;  // of rows on their way to the GPU
constexpr std::int64_t kRowsATask = 256;
constexpr std::int64_t kCodedAtOnce = std::int64_t{1} << 16;  // rows on the GPU: 1 MB about them
constexpr std::int64_t kMostOut = std::int64_t{1} << 20;  // entries that are fetched at once: 16 MB

std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

// What is kept of a number type: float64 is rounded, once.
Number kept_as(Number number) { return number == Number::f64 ? Number::f32 : number; }

}  // namespace

// One block of rows before it is put.
struct RowsOnGpu::Staged {
    std::vector<std::int8_t> code;
    std::vector<std::byte> value;
    std::vector<RefScale> scale;
    std::vector<float> length;

    Staged(std::int64_t count, std::int64_t row_bytes, std::int64_t padded_dims)
        : code(at(count * padded_dims), 0), value(at(count * row_bytes)), scale(at(count)), length(at(count), 0.0F) {}
    void set(std::int64_t i, const CodedRow& row) {
        scale[at(i)] = {row.inverse_scale, residual_in_codes(row.residual, row.inverse_scale)};
        length[at(i)] = row.length;
    }
};

std::int64_t RowsOnGpu::padded(std::int64_t num_dims) { return (num_dims + kSliceDims - 1) / kSliceDims * kSliceDims; }

RowsOnGpu::RowsOnGpu(Gpu& gpu, const StoredRows& rows, std::span<const std::int64_t> row, const Wish& wish, int num_threads)
    : gpu_(gpu),
      num_rows_(static_cast<std::int64_t>(row.size())),
      num_dims_(rows.num_dims),
      with_codes_(wish.with_codes),
      number_(rows.on_gpu ? rows.number : kept_as(rows.number)),
      code_(gpu, wish.with_codes ? num_rows_ * padded(num_dims_) : 0),
      scale_(gpu, wish.with_codes ? num_rows_ : 0),
      row_norm_(gpu, num_rows_),
      place_(gpu, num_rows_) {
    const std::int64_t num_bytes = num_rows_ * num_dims_ * size_of(number_);
    if (rows.on_gpu) {
        given_ = rows.value;
    } else if (wish.on_host) {
        on_host_.emplace(gpu, std::max<std::int64_t>(num_bytes, 1));
    } else {
        value_.emplace(gpu, num_bytes);
    }
    if (num_rows_ == 0) return;
    place_.put(row.data(), 0, num_rows_);
    std::vector<double> row_norm;
    for (const std::int64_t r : row) row_norm.push_back(rows.row_norm[r]);
    row_norm_.put(row_norm.data(), 0, num_rows_);
    rows.on_gpu ? encode_in_place(rows) : fill(rows, row, num_threads);
}

void RowsOnGpu::fill(const StoredRows& rows, std::span<const std::int64_t> row, int num_threads) {
    const std::int64_t padded_dims = with_codes_ ? padded(num_dims_) : 0, row_bytes = num_dims_ * size_of(number_);
    const std::int64_t step = std::max<std::int64_t>(kBlockBytes / (row_bytes + padded_dims), 1);
    const MappedPages pages(rows.value, rows.num_bytes());
    for (std::int64_t first = 0; first < num_rows_; first += step) {
        const std::int64_t count = std::min(step, num_rows_ - first);
        Staged staged(count, on_host_ ? 0 : row_bytes, padded_dims);
        std::byte* const kept = on_host_ ? on_host_->host() + first * row_bytes : staged.value.data();
        Progress progress;
        run_tasks((count + kRowsATask - 1) / kRowsATask, num_threads, progress, nullptr, [&](std::int64_t task) {
            std::vector<double> read(pages.is_file() ? at(rows.row_bytes() / 8 + 1) : 0);
            std::vector<float> value(at(num_dims_));
            for (std::int64_t i = task * kRowsATask; i < std::min((task + 1) * kRowsATask, count); ++i) {
                const std::int64_t r = row[at(first + i)];
                const void* const stored = pages.read(rows.stored(r), rows.row_bytes(), read.data());
                as_floats(stored, rows.number, num_dims_, value.data());
                std::memcpy(kept + i * row_bytes, number_ == rows.number ? stored : value.data(), at(row_bytes));
                if (!with_codes_) continue;
                staged.set(i, encode(value.data(), rows.row_norm[r], num_dims_, 127, &staged.code[at(i * padded_dims)]));
            }
        });
        if (!on_host_) value_->put(kept, first * row_bytes, count * row_bytes);
        if (with_codes_) code_.put(staged.code.data(), first * padded_dims, count * padded_dims);
        if (with_codes_) put_scales(staged, first);
    }
}

// Rows of an owner on the GPU: what comes to this machine is a few numbers of each.
void RowsOnGpu::encode_in_place(const StoredRows& rows) {
    gpu_.wait_for(rows.stream);
    if (!with_codes_) return;
    const std::int64_t step = std::min(kCodedAtOnce, num_rows_);
    GpuArray<CodedRow> coded_on_gpu(gpu_, step);
    std::vector<CodedRow> coded(at(step));
    for (std::int64_t first = 0; first < num_rows_; first += step) {
        const std::int64_t count = std::min(step, num_rows_ - first);
        gpu_.encode({{given_, number_, num_dims_}, place_.data() + first, row_norm_.data() + first, count, padded(num_dims_),
                     code_.data() + first * padded(num_dims_), nullptr, coded_on_gpu.data()});
        coded_on_gpu.get(coded.data(), 0, count);
        Staged staged(count, 0, 0);
        for (std::int64_t i = 0; i < count; ++i) staged.set(i, coded[at(i)]);
        put_scales(staged, first);
    }
}

void RowsOnGpu::put_scales(const Staged& staged, std::int64_t first) {
    scale_.put(staged.scale.data(), first, static_cast<std::int64_t>(staged.scale.size()));
    longest_ = std::max(longest_, *std::max_element(staged.length.begin(), staged.length.end()));
}

GpuRows RowsOnGpu::view() const {
    const void* const value = given_ != nullptr ? given_ : on_host_ ? on_host_->on_gpu() : value_->data();
    return {code_.data(), scale_.data(), value, number_, given_ != nullptr ? place_.data() : nullptr, row_norm_.data(), place_.data(),
            num_rows_, num_dims_, padded(num_dims_)};
}

std::vector<double> norms_on_gpu(Gpu& gpu, const StoredRows& rows) {
    GpuArray<double> norm(gpu, rows.num_rows);
    gpu.wait_for(rows.stream);
    if (rows.num_rows > 0) gpu.measure({{rows.value, rows.number, rows.num_dims}, rows.num_rows, norm.data()});
    std::vector<double> here(at(rows.num_rows));
    norm.get(here.data(), 0, rows.num_rows);
    return here;
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
