#include "emulated_memory.h"

#include <sys/mman.h>

#include <cstring>
#include <iterator>
#include <map>
#include <mutex>
#include <new>

namespace asl::ratio_search {
namespace {

constexpr int kUnset = 0xA5;  // in every byte of memory that was not written

struct Memory {
    std::size_t num_bytes;
    std::int64_t num_open;
};

struct Closed {
    std::mutex mutex;
    std::map<std::uintptr_t, Memory> memory;
    std::int64_t all_open = 0;  // for what is allocated meanwhile

    // more: 1 or -1.
    void open(const void* address, int more) {
        const std::lock_guard<std::mutex> lock(mutex);
        if (address != nullptr) return open(std::prev(memory.upper_bound(reinterpret_cast<std::uintptr_t>(address))), more);
        all_open += more;
        for (auto each = memory.begin(); each != memory.end(); ++each) open(each, more);
    }

   private:
    static void open(std::map<std::uintptr_t, Memory>::iterator memory, int more) {
        auto& [address, each] = *memory;
        const bool was_open = each.num_open > 0;
        each.num_open += more;
        const bool is_open = each.num_open > 0;
        if (was_open == is_open) return;
        void* const begin = reinterpret_cast<void*>(address);
        if (mprotect(begin, each.num_bytes, is_open ? PROT_READ | PROT_WRITE : PROT_NONE) != 0) throw std::bad_alloc();
    }
};

Closed& closed() {
    static Closed all;
    return all;
}

}  // namespace

void* allocate_closed(std::int64_t num_bytes) {
    const auto size = static_cast<std::size_t>(num_bytes > 0 ? num_bytes : 1);
    void* const memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    std::memset(memory, kUnset, size);
    Closed& all = closed();
    const std::lock_guard<std::mutex> lock(all.mutex);
    all.memory[reinterpret_cast<std::uintptr_t>(memory)] = {size, all.all_open};
    if (all.all_open == 0) mprotect(memory, size, PROT_NONE);
    return memory;
}

void release_closed(void* memory) noexcept {
    Closed& all = closed();
    const std::lock_guard<std::mutex> lock(all.mutex);
    const auto found = all.memory.find(reinterpret_cast<std::uintptr_t>(memory));
    munmap(memory, found->second.num_bytes);
    all.memory.erase(found);
}

OpenMemory::OpenMemory() : address_(nullptr) { closed().open(address_, 1); }
OpenMemory::OpenMemory(const void* address) : address_(address) { closed().open(address_, 1); }
OpenMemory::~OpenMemory() { closed().open(address_, -1); }

}  // namespace asl::ratio_search
