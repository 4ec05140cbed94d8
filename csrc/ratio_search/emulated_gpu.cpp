// A GPU that isn't there: its memory is this machine's, closed to all but it, and its kernels run in emulated thread
// blocks. For tests.
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <map>
#include <vector>

#include "emulated_block.h"
#include "emulated_memory.h"
#include "gpu_kernels.h"
#include "rows_on_gpu.h"

namespace asl::ratio_search {
namespace {

// Shared by all that opened the same GPU.
struct EmulatedMemory {
    std::int64_t num_bytes;
    std::atomic<std::int64_t> taken{0};
};

constexpr int kUnset = 0xA5;  // in every byte of memory that was not written

class EmulatedGpu : public Gpu {
   public:
    EmulatedGpu(std::shared_ptr<EmulatedMemory> memory, unsigned seed) : memory_(std::move(memory)), blocks_(kGpuThreads, seed) {}

    std::string name() const override { return "the emulated GPU"; }
    std::int64_t free_bytes() const override { return memory_->num_bytes - memory_->taken; }

    void* allocate(std::int64_t num_bytes) override {
        if (memory_->taken.fetch_add(num_bytes) + num_bytes > memory_->num_bytes) {
            memory_->taken -= num_bytes;
            return nullptr;
        }
        void* const memory = allocate_closed(num_bytes);
        size_[memory] = num_bytes;
        return memory;
    }
    void release(void* memory) noexcept override {
        if (memory == nullptr) return;
        memory_->taken -= size_[memory];
        size_.erase(memory);
        release_closed(memory);
    }
    void put(void* to, const void* from, std::int64_t num_bytes) override {
        if (num_bytes == 0) return;
        const OpenMemory open(to);
        std::memcpy(to, from, static_cast<std::size_t>(num_bytes));
    }
    void get(void* to, const void* from, std::int64_t num_bytes) override {
        if (num_bytes == 0) return;
        const OpenMemory open(from);
        std::memcpy(to, from, static_cast<std::size_t>(num_bytes));
    }

    HostMemory allocate_on_host(std::int64_t num_bytes) override {
        void* const memory = std::malloc(static_cast<std::size_t>(num_bytes));
        std::memset(memory, kUnset, static_cast<std::size_t>(num_bytes));
        return {memory, memory};
    }
    void release_on_host(void* host) noexcept override { std::free(host); }
    void wait_for(std::uintptr_t) override {}

    void measure(const MeasureWork& work) override {
        run_with<MeasureShared>((work.num_rows + kExactPairs - 1) / kExactPairs, 1, [&](EmulatedBlock& block, MeasureShared& shared) {
            asl::ratio_search::measure(block, work, shared);
        });
    }
    void encode(const EncodeWork& work) override {
        run_with<EncodeShared>((work.num_rows + kExactPairs - 1) / kExactPairs, 1, [&](EmulatedBlock& block, EncodeShared& shared) {
            asl::ratio_search::encode(block, work, shared);
        });
    }
    void raise_floors(const ScanWork& work) override {
        run((work.num_probes + kGpuThreads - 1) / kGpuThreads, 1, [&](EmulatedBlock& block) { asl::ratio_search::raise_floors(block, work); });
    }
    void screen(const ScanWork& work) override {
        const std::int64_t strip = kTile * kStripTiles;
        run_with<ScreenShared>((work.num_probes + kTile - 1) / kTile, (work.chunk.size() + strip - 1) / strip, [&](EmulatedBlock& block, ScreenShared& shared) {
            asl::ratio_search::screen(block, work, shared);
        });
    }
    void settle(const ScanWork& work) override {
        run_with<SettleShared>(work.num_probes, 1, [&](EmulatedBlock& block, SettleShared& shared) { asl::ratio_search::settle(block, work, shared); });
    }
    void pack(const PackWork& work) override {
        run(work.num_lists, 1, [&](EmulatedBlock& block) { asl::ratio_search::pack(block, work); });
    }
    void admit(const AdmitWork& work) override {
        run(work.num_slots, 1, [&](EmulatedBlock& block) { asl::ratio_search::admit(block, work); });
    }

   private:
    void run(std::int64_t num_x, std::int64_t num_y, const std::function<void(EmulatedBlock&)>& kernel) {
        const OpenMemory open;
        blocks_.run(num_x, num_y, kernel);
    }

    template <typename Shared, typename Kernel>
    void run_with(std::int64_t num_x, std::int64_t num_y, const Kernel& kernel) {
        const auto shared = std::make_unique<Shared>();
        std::memset(static_cast<void*>(shared.get()), kUnset, sizeof(Shared));
        run(num_x, num_y, [&](EmulatedBlock& block) { kernel(block, *shared); });
    }

    std::shared_ptr<EmulatedMemory> memory_;
    std::map<void*, std::int64_t> size_;
    BlockEmulator blocks_;
};

}  // namespace

// seed: of the order in which threads and blocks run, which must not matter.
OpenGpu emulated_gpu(std::int64_t num_bytes, unsigned seed) {
    const auto memory = std::make_shared<EmulatedMemory>();
    memory->num_bytes = num_bytes;
    return [memory, seed] { return std::make_unique<EmulatedGpu>(memory, seed); };
}

EmulatedRows::EmulatedRows(const StoredRows& rows) : memory_(allocate_closed(rows.num_bytes())) {
    const OpenMemory open;
    std::memcpy(memory_, rows.value, static_cast<std::size_t>(rows.num_bytes()));
}

EmulatedRows::~EmulatedRows() { release_closed(memory_); }

std::vector<double> emulated_row_norms(const StoredRows& rows) {
    return norms_on_gpu(*emulated_gpu(std::int64_t{1} << 30, 0)(), rows);
}

}  // namespace asl::ratio_search
