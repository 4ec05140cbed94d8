// Memory of emulated GPUs. It is closed while none of them works, as a real one's is to this machine: code of the host that
// follows an address of the GPU ends the process.
#pragma once

#include <cstdint>

namespace asl::ratio_search {

void* allocate_closed(std::int64_t num_bytes);  // whole pages of garbage
void release_closed(void* memory) noexcept;

// Open as long as one of these exists, in any thread: all of it, or what was allocated together with one address.
class OpenMemory {
   public:
    OpenMemory();
    explicit OpenMemory(const void* address);
    ~OpenMemory();
    OpenMemory(const OpenMemory&) = delete;
    OpenMemory& operator=(const OpenMemory&) = delete;

   private:
    const void* const address_;  // null: all
};

}  // namespace asl::ratio_search
