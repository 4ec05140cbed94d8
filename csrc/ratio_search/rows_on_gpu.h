// Rows and lists in a GPU's memory.
#pragma once

#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "gpu.h"
#include "stored_rows.h"

namespace asl::ratio_search {

// References at positions 0, 1, ...: row[p] is where the caller has the one at position p. The rows themselves lie in
// the GPU's memory, copied there or where their owner has them, or in this machine's, where the GPU reads them.
class RowsOnGpu {
   public:
    struct Wish {
        bool with_codes;  // for a screen; without, rows can only be scored
        bool on_host;     // the rows; their codes never are
    };
    // OutOfGpuMemory. num_threads: for coding rows that lie on this machine.
    RowsOnGpu(Gpu& gpu, const StoredRows& rows, std::span<const std::int64_t> row, const Wish& wish, int num_threads);

    GpuRows view() const;
    float longest() const { return longest_; }  // of the lengths of all codes

    static std::int64_t padded(std::int64_t num_dims);

   private:
    void fill(const StoredRows& rows, std::span<const std::int64_t> row, int num_threads);
    void encode_in_place(const StoredRows& rows);
    struct Staged;
    void put_scales(const Staged& staged, std::int64_t first);

    Gpu& gpu_;
    std::int64_t num_rows_, num_dims_;
    bool with_codes_;
    Number number_;               // of the rows as they are kept
    const void* given_ = nullptr;  // rows of an owner on the GPU
    std::optional<BytesOnHost> on_host_;
    std::optional<GpuArray<std::byte>> value_;
    GpuArray<std::int8_t> code_;
    GpuArray<RefScale> scale_;
    GpuArray<double> row_norm_;
    GpuArray<std::int64_t> place_;
    float longest_ = 0;
};

// sqrt(dot(x, x)) of rows on the GPU.
std::vector<double> norms_on_gpu(Gpu& gpu, const StoredRows& rows);

// The lists of a batch of queries, at most num_slots.
class ListsOnGpu {
   public:
    ListsOnGpu(Gpu& gpu, std::int64_t num_slots, std::int64_t capacity);

    GpuLists view(std::int64_t k);
    // Empty lists with these floors.
    void clear(std::span<const double> floor);
    void empty(std::int64_t num_slots);
    // The first entries of each of the first slots.
    enum class Which { found, kept };
    std::vector<std::vector<Entry>> take(std::int64_t num_slots, Which which);

    static std::int64_t slot_bytes(std::int64_t capacity);

   private:
    std::vector<Entry> fetched(const std::vector<PackedList>& part, std::int64_t length);

    Gpu& gpu_;
    std::int64_t num_slots_, capacity_;
    GpuArray<Entry> entry_;
    GpuArray<Count> found_, kept_;
    GpuArray<double> floor_;
    GpuArray<Reach> reach_;
    GpuArray<PackedList> packed_;
    GpuArray<Entry> out_;
};

}  // namespace asl::ratio_search
