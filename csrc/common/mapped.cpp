#include "mapped.h"

#include <algorithm>

#if defined(__linux__)
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>
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

// What a range of memory shows. path: as it was when it was mapped, "" where pieces show several files.
struct Shown {
    bool is_file = false;
    std::string path;
    unsigned long long offset = 0, inode = 0;
    unsigned device_major = 0, device_minor = 0;

    bool operator==(const Shown&) const = default;
};

// What the system says of this process's memory: is all of [begin, end) shared, read-only and of a file, and of which?
Shown shown(const std::uintptr_t begin, const std::uintptr_t end) {
    std::FILE* const maps = std::fopen("/proc/self/maps", "re");
    if (maps == nullptr) return {};
    char line[4096 + 128];
    bool whole_line = true;  // else the rest of a long path
    std::uintptr_t next = begin;
    Shown first;
    while (next < end && std::fgets(line, sizeof line, maps) != nullptr) {
        const bool starts = whole_line;
        whole_line = std::strchr(line, '\n') != nullptr;
        unsigned long long from = 0, to = 0;
        char rights[5] = {};
        int path_at = 0;
        Shown piece;
        piece.is_file = true;
        if (!starts || std::sscanf(line, "%llx-%llx %4s %llx %x:%x %llu %n", &from, &to, rights, &piece.offset,
                                   &piece.device_major, &piece.device_minor, &piece.inode, &path_at) != 7) {
            continue;
        }
        if (to <= next) continue;
        if (from > next || std::strncmp(rights, "r--s", 4) != 0 || piece.inode == 0) break;
        if (whole_line) piece.path.assign(line + path_at, std::strcspn(line + path_at, "\n"));
        piece.offset += begin - from;  // of `begin`, also where that lies in an earlier piece
        if (next == begin) first = piece;
        if (piece != first) first.path.clear();
        next = to;
    }
    std::fclose(maps);
    return next >= end ? first : Shown{};
}

// The file, if it still has its name; else -1.
int opened(const Shown& what) {
    if (what.path.empty()) return -1;
    const int file = open(what.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat found;
    if (file >= 0 && fstat(file, &found) == 0 && found.st_ino == what.inode && major(found.st_dev) == what.device_major &&
        minor(found.st_dev) == what.device_minor) {
        (void)posix_fadvise(file, 0, 0, POSIX_FADV_RANDOM);
        return file;
    }
    if (file >= 0) close(file);
    return -1;
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
    if (num_bytes < kLeastBytes) return;
    const Shown what = shown(first, first + static_cast<std::uintptr_t>(num_bytes));
    if (!what.is_file) return;
    num_bytes_ = num_bytes;
    offset_ = static_cast<std::int64_t>(what.offset);
    file_ = opened(what);
    if (file_ < 0) statm_ = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
}

MappedPages::~MappedPages() {
    give_back(begin_, num_bytes_);
    if (is_file()) advise(begin_, num_bytes_, MADV_NORMAL);
    if (statm_ >= 0) close(statm_);
    if (file_ >= 0) close(file_);
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

const void* MappedPages::read(const void* begin, std::int64_t num_bytes, void* space) const {
    if (file_ < 0) return begin;
    std::int64_t done = 0;
    const std::int64_t start = offset_ + (static_cast<const char*>(begin) - begin_);
    while (done < num_bytes) {
        const auto count = pread(file_, static_cast<char*>(space) + done, static_cast<std::size_t>(num_bytes - done), start + done);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) throw std::runtime_error("ratio_search: the references' file can't be read any more; was it cut off?");
        done += count;
    }
    return space;
}

void MappedPages::bound_resident() {
    if (!is_file() || file_ >= 0) return;
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
const void* MappedPages::read(const void* begin, std::int64_t, void*) const { return begin; }
void MappedPages::bound_resident() {}

#endif

}  // namespace asl
