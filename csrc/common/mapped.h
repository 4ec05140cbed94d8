// Memory that shows a file: pages of it that were read can be handed back, so that a file larger than
// memory can be read through a map without filling it.
#pragma once

#include <atomic>
#include <cstdint>

namespace asl {

// Does nothing unless the range is of some megabytes and all of it lies in maps of files that are shared and
// can't be written: only there is handing pages back sure to lose nothing.
class MappedPages {
   public:
    MappedPages(const void* begin, std::int64_t num_bytes);
    ~MappedPages();
    MappedPages(const MappedPages&) = delete;
    MappedPages& operator=(const MappedPages&) = delete;

    bool is_file() const { return num_bytes_ > 0; }
    // From now on the system should read ahead, or only what is asked for.
    void expect_sequential() const;
    void expect_random() const;
    void give_back(const void* begin, std::int64_t num_bytes) const;
    // Bytes of the range at a random place: read from the file into `space`, or, where it can't be opened, where
    // they lie. A page that random reads map is a fault, a neighbourhood with it, and work to hand it back: 10 us
    // against 1 us where most pages aren't mapped.
    const void* read(const void* begin, std::int64_t num_bytes, void* space) const;
    // To be called after every few reads: where they map pages, all is handed back once too much has stayed.
    void bound_resident();

   private:
    const char* begin_;
    std::int64_t num_bytes_;  // 0: no map of a file
    int file_ = -1;           // what the map shows
    std::int64_t offset_ = 0;  // of begin_ in it
    int statm_ = -1;          // /proc/self/statm
    std::atomic<std::int64_t> resident_{0};  // bytes of files in this process's memory, at the last look
};

}  // namespace asl
