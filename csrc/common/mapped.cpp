#include "mapped.h"

#include <algorithm>

#if defined(__linux__)
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#endif

namespace asl {
namespace {

// Mapped bytes that random reads may leave in place, or this part of the map if that is more: handing back
// costs a walk over the page tables of the whole map.
constexpr std::int64_t kKeptBytes = 32 << 20;
constexpr std::int64_t kKeptPart = 32;
// A smaller range isn't worth asking the system what it is: that takes a millisecond in a process of many maps.
constexpr std::int64_t kLeastBytes = 4 << 20;

#if defined(__linux__)

void advise(const char* begin, std::int64_t num_bytes, int advice) {
    const std::uintptr_t page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
    const std::uintptr_t first = reinterpret_cast<std::uintptr_t>(begin) / page * page;
    const std::size_t length = reinterpret_cast<std::uintptr_t>(begin) + static_cast<std::uintptr_t>(num_bytes) - first;
    // A wish: if the system refuses, only memory or speed is lost.
    (void)madvise(reinterpret_cast<void*>(first), length, advice);
}

// What the system says of this process's memory: is all of [begin, end) shared, read-only and of a file?
bool shows_a_file(std::uintptr_t begin, std::uintptr_t end) {
    std::FILE* const maps = std::fopen("/proc/self/maps", "re");
    if (maps == nullptr) return false;
    char line[512];
    bool whole_line = true;  // else the rest of a long path
    while (begin < end && std::fgets(line, sizeof line, maps) != nullptr) {
        const bool starts = whole_line;
        whole_line = std::strchr(line, '\n') != nullptr;
        unsigned long long from = 0, to = 0, offset = 0, inode = 0;
        char rights[5] = {};
        if (!starts || std::sscanf(line, "%llx-%llx %4s %llx %*s %llu", &from, &to, rights, &offset, &inode) != 5) continue;
        if (to <= begin) continue;
        if (from > begin || std::strncmp(rights, "r--s", 4) != 0 || inode == 0) break;
        begin = to;
    }
    std::fclose(maps);
    return begin >= end;
}

// How much of files this process has in memory. One fault may map a page or megabytes, as the system likes, so
// counting faults would not do.
std::int64_t resident_bytes(int statm) {
    char line[128] = {};
    long long size = 0, resident = 0, of_files = 0;
    if (pread(statm, line, sizeof line - 1, 0) <= 0 || std::sscanf(line, "%lld %lld %lld", &size, &resident, &of_files) != 3) return 0;
    return of_files * sysconf(_SC_PAGESIZE);
}

#endif

}  // namespace

#if defined(__linux__)

MappedPages::MappedPages(const void* begin, std::int64_t num_bytes)
    : begin_(static_cast<const char*>(begin)), num_bytes_(0) {
    const std::uintptr_t first = reinterpret_cast<std::uintptr_t>(begin);
    if (num_bytes >= kLeastBytes && shows_a_file(first, first + static_cast<std::uintptr_t>(num_bytes))) num_bytes_ = num_bytes;
    if (is_file()) statm_ = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
}

MappedPages::~MappedPages() {
    give_back(begin_, num_bytes_);
    if (is_file()) advise(begin_, num_bytes_, MADV_NORMAL);
    if (statm_ >= 0) close(statm_);
}

void MappedPages::expect_sequential() const {
    if (is_file()) advise(begin_, num_bytes_, MADV_SEQUENTIAL);
}

void MappedPages::expect_random() const {
    if (is_file()) advise(begin_, num_bytes_, MADV_RANDOM);
}

void MappedPages::give_back(const void* begin, std::int64_t num_bytes) const {
    if (is_file()) advise(static_cast<const char*>(begin), num_bytes, MADV_DONTNEED);
}

void MappedPages::bound_resident() {
    if (!is_file()) return;
    const std::int64_t now = resident_bytes(statm_);
    const std::int64_t before = resident_.load(std::memory_order_relaxed);
    if (before != 0 && now < before + std::max(kKeptBytes, num_bytes_ / kKeptPart)) return;
    give_back(begin_, num_bytes_);
    resident_.store(resident_bytes(statm_), std::memory_order_relaxed);
}

#else

MappedPages::MappedPages(const void* begin, std::int64_t) : begin_(static_cast<const char*>(begin)), num_bytes_(0) {}
MappedPages::~MappedPages() = default;
void MappedPages::expect_sequential() const {}
void MappedPages::expect_random() const {}
void MappedPages::give_back(const void*, std::int64_t) const {}
void MappedPages::bound_resident() {}

#endif

}  // namespace asl
