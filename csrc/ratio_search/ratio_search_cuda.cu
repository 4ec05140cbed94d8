// The CUDA path, not yet run on a GPU: it compiles, and the logic around the kernel (chunked_scan.cpp) is
// run by the CPU's tests. Correct by construction, not fast: every pair is scored exactly, in double.
//
// Bound: num_pairs * num_dims double multiply-adds. A low-precision screen in front of it is a later step.
#include <cuda_runtime.h>

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>

#include "chunked_scan.h"
#include "exact_dot.h"
#include "ratio_search.h"

namespace asl::ratio_search {
namespace {

constexpr int kThreads = 128;      // references of a thread block, one a thread
constexpr int kQueries = 4;        // queries of a thread block
constexpr int kSlice = 128;        // dimensions of a query in shared memory at a time; a multiple of 8
constexpr std::int64_t kMaxProbes = 65535 * kQueries;  // grid limit
constexpr std::int64_t kBufferBytes = std::int64_t{256} << 20;

struct DeviceProbe {
    std::int64_t query, begin, end;
    double floor, bias;
};

struct DeviceHit {
    double score;
    std::int64_t position;
};

void check(cudaError_t status, const char* what) {
    if (status != cudaSuccess) {
        throw std::runtime_error(std::string("ratio_search: CUDA ") + what + ": " + cudaGetErrorString(status));
    }
}

template <typename T>
class DeviceArray {
   public:
    explicit DeviceArray(std::int64_t size) {
        const std::size_t num_bytes = static_cast<std::size_t>(std::max<std::int64_t>(size, 1)) * sizeof(T);
        std::size_t free_bytes = 0, all_bytes = 0;
        check(cudaMemGetInfo(&free_bytes, &all_bytes), "memory query");
        if (cudaMalloc(&data_, num_bytes) != cudaSuccess) {
            (void)cudaGetLastError();
            throw std::invalid_argument("ratio_search: the GPU has " + std::to_string(free_bytes >> 20) +
                                        " MB free but " + std::to_string(num_bytes >> 20) +
                                        " MB more are needed; search in parts or with device='cpu'");
        }
    }
    ~DeviceArray() { cudaFree(data_); }
    DeviceArray(const DeviceArray&) = delete;
    DeviceArray& operator=(const DeviceArray&) = delete;

    T* data() { return data_; }
    const T* data() const { return data_; }
    void put(const T* from, std::int64_t offset, std::int64_t size) {
        check(cudaMemcpy(data_ + offset, from, static_cast<std::size_t>(size) * sizeof(T), cudaMemcpyHostToDevice),
              "copy to the device");
    }
    void get(T* to, std::int64_t offset, std::int64_t size) const {
        check(cudaMemcpy(to, data_ + offset, static_cast<std::size_t>(size) * sizeof(T), cudaMemcpyDeviceToHost),
              "copy from the device");
    }

   private:
    T* data_ = nullptr;
};

// One thread a reference, kQueries probes a block. Eight double lanes a pair keep the fixed order.
__global__ void scan_chunk(const float* ref, const double* ref_norm, const float* query, const double* query_norm,
                           std::int64_t num_dims, const DeviceProbe* probe, std::int64_t num_probes,
                           std::int64_t chunk_begin, std::int64_t chunk_end, std::int64_t capacity,
                           unsigned long long* num_found, DeviceHit* hit) {
    __shared__ float slice[kQueries][kSlice];
    const std::int64_t position = chunk_begin + std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
    const std::int64_t first_probe = std::int64_t{blockIdx.y} * kQueries;
    double lane[kQueries][8] = {};
    for (std::int64_t start = 0; start < num_dims; start += kSlice) {
        const int length = static_cast<int>(num_dims - start < kSlice ? num_dims - start : kSlice);
        __syncthreads();
        for (int i = threadIdx.x; i < kQueries * kSlice; i += kThreads) {
            const std::int64_t p = first_probe + i / kSlice;
            const bool inside = p < num_probes && i % kSlice < length;
            slice[i / kSlice][i % kSlice] = inside ? query[probe[p].query * num_dims + start + i % kSlice] : 0.0F;
        }
        __syncthreads();
        if (position >= chunk_end) continue;
        const float* const row = ref + position * num_dims + start;
        for (int d = 0; d < length; d += 8) {
#pragma unroll
            for (int j = 0; j < 8; ++j) {
                // Past the end both factors are 0, and adding 0 leaves a lane as it is.
                const double r = d + j < length ? static_cast<double>(row[d + j]) : 0.0;
#pragma unroll
                for (int q = 0; q < kQueries; ++q) lane[q][j] = fma(r, static_cast<double>(slice[q][d + j]), lane[q][j]);
            }
        }
    }
    if (position >= chunk_end) return;
    for (int q = 0; q < kQueries && first_probe + q < num_probes; ++q) {
        const DeviceProbe& asked = probe[first_probe + q];
        if (position < asked.begin || position >= asked.end) continue;
        const double score = sum_lanes(lane[q]) / (query_norm[asked.query] * ref_norm[position]) - asked.bias;
        if (!(score >= asked.floor)) continue;
        const unsigned long long slot = atomicAdd(&num_found[first_probe + q], 1ULL);
        if (slot < static_cast<unsigned long long>(capacity)) hit[(first_probe + q) * capacity + slot] = {score, position};
    }
}

struct CudaRefs : Refs {
    NormOrder order;
    std::int64_t num_dims;
    DeviceArray<float> value;     // in norm order
    DeviceArray<double> row_norm;

    explicit CudaRefs(const Rows& refs)
        : order(refs), num_dims(refs.num_dims), value(refs.num_rows * refs.num_dims), row_norm(refs.num_rows) {
        constexpr std::int64_t kStep = 1 << 14;
        std::vector<float> rows;
        std::vector<double> norms;
        for (std::int64_t first = 0; first < order.size(); first += kStep) {
            const std::int64_t end = std::min(first + kStep, order.size());
            rows.clear();
            norms.clear();
            for (std::int64_t p = first; p < end; ++p) {
                const float* const row = refs.value + order.row[static_cast<std::size_t>(p)] * num_dims;
                rows.insert(rows.end(), row, row + num_dims);
                norms.push_back(refs.row_norm[order.row[static_cast<std::size_t>(p)]]);
            }
            value.put(rows.data(), first * num_dims, (end - first) * num_dims);
            row_norm.put(norms.data(), first, end - first);
        }
    }
    const char* path() const override { return "cuda"; }
    bool search(const Rows& queries, const Wanted& wanted, int num_threads, const Tell& tell,
                Found& found) const override;
    bool best_pairs(const Rows& queries, const Wanted& wanted, std::int64_t num_pairs, int num_threads,
                    const Tell& tell, std::vector<QueryPair>& best) const override;
};

// One search's buffers on the device.
class CudaDevice : public ChunkDevice {
   public:
    CudaDevice(const CudaRefs& refs, std::int64_t k, std::int64_t num_queries)
        : refs_(refs),
          capacity_(std::max<std::int64_t>(2 * std::min(k, refs.order.size()), 1024)),
          batch_queries_(std::min({kBufferBytes / (capacity_ * std::int64_t{sizeof(DeviceHit)}) + 1, num_queries, kMaxProbes})),
          query_(batch_queries_ * refs.num_dims),
          query_norm_(batch_queries_),
          probe_(batch_queries_),
          num_found_(batch_queries_),
          hit_(batch_queries_ * capacity_) {}

    std::int64_t chunk_rows() const override { return 1 << 18; }
    std::int64_t capacity() const override { return capacity_; }
    std::int64_t batch_queries() const override { return batch_queries_; }

    void load(const Rows& queries, std::span<const std::int64_t> query) override {
        for (std::size_t i = 0; i < query.size(); ++i) {
            const std::int64_t slot = static_cast<std::int64_t>(i);
            query_.put(queries.value + query[i] * queries.num_dims, slot * queries.num_dims, queries.num_dims);
            query_norm_.put(queries.row_norm + query[i], slot, 1);
        }
    }

    void scan(std::span<const Probe> probe, const Range& chunk, std::vector<ProbeHits>& hits) override {
        const std::int64_t num_probes = static_cast<std::int64_t>(probe.size());
        std::vector<DeviceProbe> asked;
        for (const Probe& each : probe) asked.push_back({each.query, each.range.begin, each.range.end, each.floor, each.bias});
        std::vector<unsigned long long> num_found(probe.size(), 0);
        probe_.put(asked.data(), 0, num_probes);
        num_found_.put(num_found.data(), 0, num_probes);
        const dim3 grid(static_cast<unsigned>((chunk.size() + kThreads - 1) / kThreads),
                        static_cast<unsigned>((num_probes + kQueries - 1) / kQueries));
        scan_chunk<<<grid, kThreads>>>(refs_.value.data(), refs_.row_norm.data(), query_.data(), query_norm_.data(),
                                       refs_.num_dims, probe_.data(), num_probes, chunk.begin, chunk.end, capacity_,
                                       num_found_.data(), hit_.data());
        check(cudaGetLastError(), "launch");
        num_found_.get(num_found.data(), 0, num_probes);  // waits for the kernel
        std::vector<DeviceHit> kept;
        for (std::size_t i = 0; i < probe.size(); ++i) {
            hits[i].num_found = static_cast<std::int64_t>(num_found[i]);
            kept.resize(static_cast<std::size_t>(std::min(hits[i].num_found, capacity_)));
            if (kept.empty()) continue;
            hit_.get(kept.data(), static_cast<std::int64_t>(i) * capacity_, static_cast<std::int64_t>(kept.size()));
            for (const DeviceHit& each : kept) hits[i].pair.push_back({each.score, each.position});
        }
    }

   private:
    const CudaRefs& refs_;
    std::int64_t capacity_;
    std::int64_t batch_queries_;
    DeviceArray<float> query_;
    DeviceArray<double> query_norm_;
    DeviceArray<DeviceProbe> probe_;
    DeviceArray<unsigned long long> num_found_;
    DeviceArray<DeviceHit> hit_;
};

bool CudaRefs::search(const Rows& queries, const Wanted& wanted, int, const Tell& tell, Found& found) const {
    CudaDevice device(*this, wanted.k, queries.num_rows);
    return chunked_search(device, order, queries, wanted, tell, found);
}

bool CudaRefs::best_pairs(const Rows& queries, const Wanted& wanted, std::int64_t num_pairs, int, const Tell& tell,
                          std::vector<QueryPair>& best) const {
    CudaDevice device(*this, wanted.k, queries.num_rows);
    return chunked_best_pairs(device, order, queries, wanted, num_pairs, tell, best);
}

}  // namespace

std::unique_ptr<Refs> prepare_cuda(const Rows& refs) { return std::make_unique<CudaRefs>(refs); }

CudaInfo cuda_info() {
    CudaInfo info;
    int num_devices = 0;
    const cudaError_t status = cudaGetDeviceCount(&num_devices);
    if (status != cudaSuccess) {
        info.problem = cudaGetErrorString(status);
        return info;
    }
    for (int device = 0; device < num_devices; ++device) {
        cudaDeviceProp properties;
        if (cudaGetDeviceProperties(&properties, device) == cudaSuccess) info.device_names.emplace_back(properties.name);
    }
    if (info.device_names.empty()) info.problem = "no CUDA device found";
    return info;
}

}  // namespace asl::ratio_search
