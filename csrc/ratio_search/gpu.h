// What the host's side of the GPU path needs of a GPU: memory, copies, and five kernels (gpu_kernels.h). There are
// two: a CUDA device (cuda_gpu.cu), and this machine emulating one (emulated_gpu.cpp), for tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>

#include "codes.h"
#include "norm_order.h"
#include "numbers.h"

namespace asl::ratio_search {

// Everything that a kernel is told lies in the GPU's memory, but for these structs themselves.

struct Entry {
    double score;
    std::int64_t position;  // among the GPU's references
};

struct RefScale {
    float inverse_scale;
    float residual;  // in codes
};

struct GpuRows {
    const std::int8_t* code;  // num_rows x padded_dims, the padding 0
    const RefScale* scale;
    const void* value;         // rows of num_dims: in the GPU's memory, or in this machine's, which it reads as well
    Number number;
    const std::int64_t* row;  // which of them each is; null: the one at its own position
    const double* row_norm;
    const std::int64_t* place;  // breaks ties; < 0: not searched
    std::int64_t num_rows;
    std::int64_t num_dims;
    std::int64_t padded_dims;  // a multiple of kSliceDims
};

// A batch of queries; a query's number in it is its slot.
struct GpuQueries {
    const std::int8_t* code;
    const float* value;
    const double* row_norm;
    const ReachTerms* terms;
};

using Count = unsigned long long;  // what CUDA adds to atomically

// One list a slot, `capacity` entries long. The first `kept` are the best so far, best first (k = 0: none); those
// behind them are of the last scan. `found` may pass the capacity: then some were not written.
struct GpuLists {
    Entry* entry;
    std::int64_t capacity;  // a power of 2, at least 2 k
    Count* found;
    Count* kept;
    double* floor;
    Reach* reach;
    std::int64_t k;  // 0: all
};

// What one query asks of one chunk of references.
struct GpuProbe {
    std::int64_t slot;
    Range range;   // within the chunk, not empty
    double floor;  // at least
};

struct ScanWork {
    GpuRows refs;
    GpuQueries queries;
    GpuLists lists;
    const GpuProbe* probe;
    std::int64_t num_probes;
    const Range* tile_any;  // of each kTile probes: the positions that some of them need
    Range chunk;
    std::uint32_t* overflowed;  // of each probe, afterwards: 1 if more was found than the list holds
    Count* scored;              // pairs scored so far are added to it; may be null
};

// Entries first ... first + length - 1 of a list, and where they go.
struct PackedList {
    std::int64_t slot, first, length, offset;
};

struct PackWork {
    GpuLists lists;
    const PackedList* list;
    std::int64_t num_lists;
    Entry* out;
};

// Rows on the GPU as their owner keeps them.
struct GivenRows {
    const void* value;  // num_dims each
    Number number;
    std::int64_t num_dims;
};

struct MeasureWork {
    GivenRows rows;
    std::int64_t num_rows;
    double* norm;  // sqrt(dot(x, x))
};

// codes.h's `encode`, of some rows.
struct EncodeWork {
    GivenRows rows;
    const std::int64_t* row;  // which; num_rows of them
    const double* row_norm;   // of each of those
    std::int64_t num_rows;
    std::int64_t padded_dims;
    std::int8_t* code;  // num_rows x padded_dims
    float* value;       // num_rows x num_dims; may be null
    CodedRow* coded;
};

// Candidates of another engine (rescore.h): those that pass the predicate go to the lists, unscored.
struct AdmitWork {
    const std::int64_t* candidate;  // row-major, one row a slot
    std::int64_t num_columns;       // of a row
    Range columns;                  // to look at: no more than the lists have room for
    std::int64_t num_slots;
    const double* query_norm;
    const double* tau;
    const double* ref_norm;
    std::int64_t num_refs;
    Direction direction;
    GpuLists lists;
    Count* wrong;  // candidates below -1 or past the references are added to it
};

struct HostMemory {
    void* host;
    const void* on_gpu;  // the same bytes, as kernels find them
};

class OutOfGpuMemory : public std::runtime_error {
   public:
    using std::runtime_error::runtime_error;
};

// A GPU's work in order: each call comes after the calls before it, and those of other Gpus of the same device may
// run beside it. Memory that is put or taken may be reused as soon as the call returns.
class Gpu {
   public:
    virtual ~Gpu() = default;
    virtual std::string name() const = 0;
    virtual std::int64_t free_bytes() const = 0;
    virtual void* allocate(std::int64_t num_bytes) = 0;  // aligned to 256 bytes; null: no room
    virtual void release(void* memory) noexcept = 0;
    virtual void put(void* to, const void* from, std::int64_t num_bytes) = 0;
    virtual void get(void* to, const void* from, std::int64_t num_bytes) = 0;
    // Memory of this machine that kernels read, too; null: no room.
    virtual HostMemory allocate_on_host(std::int64_t num_bytes) = 0;
    virtual void release_on_host(void* host) noexcept = 0;
    // Work from now on comes after what is in that stream of CUDA's by now.
    virtual void wait_for(std::uintptr_t stream) = 0;

    virtual void measure(const MeasureWork& work) = 0;
    virtual void encode(const EncodeWork& work) = 0;
    virtual void raise_floors(const ScanWork& work) = 0;
    virtual void screen(const ScanWork& work) = 0;
    virtual void settle(const ScanWork& work) = 0;
    virtual void pack(const PackWork& work) = 0;
    virtual void admit(const AdmitWork& work) = 0;
};

using OpenGpu = std::function<std::unique_ptr<Gpu>()>;

OpenGpu emulated_gpu(std::int64_t num_bytes, unsigned seed);
#if defined(ASL_FAST_WITH_CUDA)
OpenGpu cuda_gpu(int device);
#endif

inline OutOfGpuMemory no_room(const Gpu& gpu, const std::string& free, std::int64_t num_bytes) {
    return OutOfGpuMemory("ratio_search: " + gpu.name() + " has " + free + " but " + std::to_string((num_bytes >> 20) + 1) +
                          " MB more are needed");
}

template <typename T>
class GpuArray {
   public:
    GpuArray(Gpu& gpu, std::int64_t size) : gpu_(gpu), size_(size) {
        const std::int64_t num_bytes = (size > 0 ? size : 1) * static_cast<std::int64_t>(sizeof(T));
        data_ = static_cast<T*>(gpu.allocate(num_bytes));
        if (data_ == nullptr) {
            throw no_room(gpu, std::to_string(gpu.free_bytes() >> 20) + " MB free", num_bytes);
        }
    }
    ~GpuArray() { gpu_.release(data_); }
    GpuArray(const GpuArray&) = delete;
    GpuArray& operator=(const GpuArray&) = delete;

    T* data() { return data_; }
    const T* data() const { return data_; }
    std::int64_t size() const { return size_; }
    void put(const T* from, std::int64_t first, std::int64_t count) {
        gpu_.put(data_ + first, from, count * static_cast<std::int64_t>(sizeof(T)));
    }
    void get(T* to, std::int64_t first, std::int64_t count) const {
        gpu_.get(to, data_ + first, count * static_cast<std::int64_t>(sizeof(T)));
    }

   private:
    Gpu& gpu_;
    std::int64_t size_;
    T* data_;
};

// Bytes of this machine that the GPU reads: at least one.
class BytesOnHost {
   public:
    BytesOnHost(Gpu& gpu, std::int64_t num_bytes) : gpu_(gpu), memory_(gpu.allocate_on_host(num_bytes)) {
        if (memory_.host == nullptr) throw no_room(gpu, "no room for rows in this machine's page-locked memory", num_bytes);
    }
    ~BytesOnHost() { gpu_.release_on_host(memory_.host); }
    BytesOnHost(const BytesOnHost&) = delete;
    BytesOnHost& operator=(const BytesOnHost&) = delete;

    std::byte* host() { return static_cast<std::byte*>(memory_.host); }
    const void* on_gpu() const { return memory_.on_gpu; }

   private:
    Gpu& gpu_;
    HostMemory memory_;
};

}  // namespace asl::ratio_search
