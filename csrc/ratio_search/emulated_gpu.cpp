// A GPU that isn't there: its memory is this machine's, its kernels run in emulated thread blocks. For tests.
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <map>
#include <vector>

#include "emulated_block.h"
#include "gpu_kernels.h"

namespace asl::ratio_search {
namespace {

// Shared by all that opened the same GPU.
struct EmulatedMemory {
    std::int64_t num_bytes;
    std::atomic<std::int64_t> taken{0};
};

constexpr std::size_t kAlignment = 256;
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
        void* memory = nullptr;
        if (posix_memalign(&memory, kAlignment, static_cast<std::size_t>(num_bytes)) != 0) throw std::bad_alloc();
        std::memset(memory, kUnset, static_cast<std::size_t>(num_bytes));
        size_[memory] = num_bytes;
        return memory;
    }
    void release(void* memory) noexcept override {
        if (memory == nullptr) return;
        memory_->taken -= size_[memory];
        size_.erase(memory);
        std::free(memory);
    }
    void put(void* to, const void* from, std::int64_t num_bytes) override { std::memcpy(to, from, static_cast<std::size_t>(num_bytes)); }
    void get(void* to, const void* from, std::int64_t num_bytes) override { put(to, from, num_bytes); }

    void raise_floors(const ScanWork& work) override {
        blocks_.run((work.num_probes + kGpuThreads - 1) / kGpuThreads, 1, [&](EmulatedBlock& block) { asl::ratio_search::raise_floors(block, work); });
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
        blocks_.run(work.num_lists, 1, [&](EmulatedBlock& block) { asl::ratio_search::pack(block, work); });
    }
    void admit(const AdmitWork& work) override {
        blocks_.run(work.num_slots, 1, [&](EmulatedBlock& block) { asl::ratio_search::admit(block, work); });
    }

   private:
    template <typename Shared, typename Kernel>
    void run_with(std::int64_t num_x, std::int64_t num_y, const Kernel& kernel) {
        const auto shared = std::make_unique<Shared>();
        std::memset(static_cast<void*>(shared.get()), kUnset, sizeof(Shared));
        blocks_.run(num_x, num_y, [&](EmulatedBlock& block) { kernel(block, *shared); });
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

}  // namespace asl::ratio_search
