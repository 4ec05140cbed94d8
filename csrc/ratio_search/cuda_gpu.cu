// A CUDA device behind gpu.h: nothing but memory, copies, launches, and the few instructions that gpu_kernels.h names.
// Everything else of the GPU path is plain C++ that the tests run with an emulated device. Not yet run on a GPU.
#include <cuda_runtime.h>

#include <memory>
#include <stdexcept>
#include <string>

#include "gpu_kernels.h"
#include "gpu_refs.h"
#include "rows_on_gpu.h"

namespace asl::ratio_search {
namespace {

// One thread's view of its thread block.
class CudaBlock {
   public:
    __device__ int thread() const { return static_cast<int>(threadIdx.x); }
    __device__ std::int64_t x() const { return blockIdx.x; }
    __device__ std::int64_t y() const { return blockIdx.y; }
    __device__ void sync() { __syncthreads(); }
    __device__ Count add(Count* counter, Count number) { return atomicAdd(counter, number); }
    __device__ int lowest_bit(std::uint32_t bits) const { return __ffs(static_cast<int>(bits)) - 1; }

    __device__ void copy16(void* to, const void* from) {
#if __CUDA_ARCH__ >= 800
        const auto shared = static_cast<std::uint32_t>(__cvta_generic_to_shared(to));
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared), "l"(__cvta_generic_to_global(from)) : "memory");
#else
        *static_cast<uint4*>(to) = *static_cast<const uint4*>(from);
#endif
    }
    __device__ void commit() {
#if __CUDA_ARCH__ >= 800
        asm volatile("cp.async.commit_group;" ::: "memory");
#endif
    }
    template <int kLeft>
    __device__ void wait() {
#if __CUDA_ARCH__ >= 800
        asm volatile("cp.async.wait_group %0;" ::"n"(kLeft) : "memory");
#endif
    }

    __device__ void multiply(std::int32_t (&sum)[4][8][4], const std::uint32_t (&a)[4][4], const std::uint32_t (&b)[8][2]) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
#pragma unroll
            for (int j = 0; j < 8; ++j) multiply(sum[i][j], a[i], b[j]);
        }
    }

   private:
#if __CUDA_ARCH__ >= 800
    __device__ static void multiply(std::int32_t (&sum)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
        asm volatile(
            "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
            : "+r"(sum[0]), "+r"(sum[1]), "+r"(sum[2]), "+r"(sum[3])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
    }
#else
    // The same product in four of Turing's, 8 x 8 x 16 each: rows g and g + 8, dimensions up to and from 16.
    __device__ static void multiply(std::int32_t (&sum)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
        for (int h = 0; h < 2; ++h) {
            for (int c = 0; c < 2; ++c) {
                asm volatile("mma.sync.aligned.m8n8k16.row.col.s32.s8.s8.s32 {%0, %1}, {%2}, {%3}, {%0, %1};"
                             : "+r"(sum[2 * h]), "+r"(sum[2 * h + 1])
                             : "r"(a[h + 2 * c]), "r"(b[c]));
            }
        }
    }
#endif
};

// Two blocks a multiprocessor: one multiplies while the other compares.
__global__ void __launch_bounds__(kGpuThreads, 2) screen_kernel(const __grid_constant__ ScanWork work) {
    __shared__ ScreenShared shared;
    CudaBlock block;
    screen(block, work, shared);
}

__global__ void __launch_bounds__(kGpuThreads) measure_kernel(const __grid_constant__ MeasureWork work) {
    __shared__ MeasureShared shared;
    CudaBlock block;
    measure(block, work, shared);
}

__global__ void __launch_bounds__(kGpuThreads) encode_kernel(const __grid_constant__ EncodeWork work) {
    __shared__ EncodeShared shared;
    CudaBlock block;
    encode(block, work, shared);
}

__global__ void __launch_bounds__(kGpuThreads) settle_kernel(const __grid_constant__ ScanWork work) {
    __shared__ SettleShared shared;
    CudaBlock block;
    settle(block, work, shared);
}

__global__ void __launch_bounds__(kGpuThreads) raise_floors_kernel(const __grid_constant__ ScanWork work) {
    CudaBlock block;
    raise_floors(block, work);
}

__global__ void __launch_bounds__(kGpuThreads) pack_kernel(const __grid_constant__ PackWork work) {
    CudaBlock block;
    pack(block, work);
}

__global__ void __launch_bounds__(kGpuThreads) admit_kernel(const __grid_constant__ AdmitWork work) {
    CudaBlock block;
    admit(block, work);
}

void check(cudaError_t status, const char* what) {
    if (status != cudaSuccess) {
        (void)cudaGetLastError();  // or the next call, of whoever, would report it again
        throw std::runtime_error(std::string("ratio_search: CUDA ") + what + ": " + cudaGetErrorString(status));
    }
}

// The calling thread's device, put back afterwards: it may be one of PyTorch's.
class OnDevice {
   public:
    explicit OnDevice(int device) {
        check(cudaGetDevice(&before_), "device query");
        if (before_ != device) check(cudaSetDevice(device), "device choice");
        changed_ = before_ != device;
    }
    ~OnDevice() {
        if (changed_) (void)cudaSetDevice(before_);
    }
    OnDevice(const OnDevice&) = delete;
    OnDevice& operator=(const OnDevice&) = delete;

   private:
    int before_ = 0;
    bool changed_ = false;
};

dim3 grid(std::int64_t x, std::int64_t y = 1) { return {static_cast<unsigned>(x), static_cast<unsigned>(y), 1}; }

// A stream of its own: searches from several threads run side by side.
class CudaGpu : public Gpu {
   public:
    explicit CudaGpu(int device) : device_(device) {
        const OnDevice here(device_);
        check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "stream");
    }
    ~CudaGpu() override {
        try {
            const OnDevice here(device_);
            (void)cudaStreamDestroy(stream_);
        } catch (const std::runtime_error&) {  // the driver is gone, as when a process ends
        }
    }

    std::string name() const override { return "GPU " + std::to_string(device_); }
    std::int64_t free_bytes() const override {
        const OnDevice here(device_);
        std::size_t free_bytes = 0, all_bytes = 0;
        check(cudaMemGetInfo(&free_bytes, &all_bytes), "memory query");
        return static_cast<std::int64_t>(free_bytes);
    }
    void* allocate(std::int64_t num_bytes) override {
        const OnDevice here(device_);
        void* memory = nullptr;
        const cudaError_t status = cudaMalloc(&memory, static_cast<std::size_t>(num_bytes));
        if (status == cudaErrorMemoryAllocation) {
            (void)cudaGetLastError();
            return nullptr;
        }
        check(status, "allocation");
        return memory;
    }
    void release(void* memory) noexcept override {
        try {
            const OnDevice here(device_);
            (void)cudaFree(memory);  // waits for the device's work
        } catch (const std::runtime_error&) {
        }
    }
    void put(void* to, const void* from, std::int64_t num_bytes) override { copy(to, from, num_bytes, cudaMemcpyHostToDevice); }
    void get(void* to, const void* from, std::int64_t num_bytes) override { copy(to, from, num_bytes, cudaMemcpyDeviceToHost); }

    // Under unified addressing, which every 64-bit system has, kernels find such memory where this machine does.
    HostMemory allocate_on_host(std::int64_t num_bytes) override {
        const OnDevice here(device_);
        void* memory = nullptr;
        const cudaError_t status = cudaHostAlloc(&memory, static_cast<std::size_t>(num_bytes), cudaHostAllocMapped | cudaHostAllocPortable);
        if (status == cudaErrorMemoryAllocation) {
            (void)cudaGetLastError();
            return {nullptr, nullptr};
        }
        check(status, "allocation of page-locked memory");
        void* on_gpu = nullptr;
        check(cudaHostGetDevicePointer(&on_gpu, memory, 0), "mapping of page-locked memory");
        return {memory, on_gpu};
    }
    void release_on_host(void* host) noexcept override {
        try {
            const OnDevice here(device_);
            (void)cudaDeviceSynchronize();
            (void)cudaFreeHost(host);
        } catch (const std::runtime_error&) {
        }
    }
    void wait_for(std::uintptr_t stream) override {
        const OnDevice here(device_);
        cudaEvent_t event = nullptr;
        check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "event");
        cudaError_t status = cudaEventRecord(event, reinterpret_cast<cudaStream_t>(stream));
        if (status == cudaSuccess) status = cudaStreamWaitEvent(stream_, event, 0);
        (void)cudaEventDestroy(event);  // once it has happened
        check(status, "wait for the caller's stream");
    }

    void measure(const MeasureWork& work) override {
        const OnDevice here(device_);
        measure_kernel<<<grid((work.num_rows + kExactPairs - 1) / kExactPairs), kGpuThreads, 0, stream_>>>(work);
        check(cudaGetLastError(), "launch of measure");
    }
    void encode(const EncodeWork& work) override {
        const OnDevice here(device_);
        encode_kernel<<<grid((work.num_rows + kExactPairs - 1) / kExactPairs), kGpuThreads, 0, stream_>>>(work);
        check(cudaGetLastError(), "launch of encode");
    }
    void raise_floors(const ScanWork& work) override {
        const OnDevice here(device_);
        raise_floors_kernel<<<grid((work.num_probes + kGpuThreads - 1) / kGpuThreads), kGpuThreads, 0, stream_>>>(work);
        check(cudaGetLastError(), "launch of raise_floors");
    }
    void screen(const ScanWork& work) override {
        const OnDevice here(device_);
        const std::int64_t strip = kTile * kStripTiles;
        screen_kernel<<<grid((work.num_probes + kTile - 1) / kTile, (work.chunk.size() + strip - 1) / strip), kGpuThreads, 0, stream_>>>(work);
        check(cudaGetLastError(), "launch of screen");
    }
    void settle(const ScanWork& work) override {
        const OnDevice here(device_);
        settle_kernel<<<grid(work.num_probes), kGpuThreads, 0, stream_>>>(work);
        check(cudaGetLastError(), "launch of settle");
    }
    void pack(const PackWork& work) override {
        const OnDevice here(device_);
        pack_kernel<<<grid(work.num_lists), kGpuThreads, 0, stream_>>>(work);
        check(cudaGetLastError(), "launch of pack");
    }
    void admit(const AdmitWork& work) override {
        const OnDevice here(device_);
        admit_kernel<<<grid(work.num_slots), kGpuThreads, 0, stream_>>>(work);
        check(cudaGetLastError(), "launch of admit");
    }

   private:
    // The caller's memory may be pinned, and then a copy would go on after the call.
    void copy(void* to, const void* from, std::int64_t num_bytes, cudaMemcpyKind kind) {
        if (num_bytes == 0) return;
        const OnDevice here(device_);
        check(cudaMemcpyAsync(to, from, static_cast<std::size_t>(num_bytes), kind, stream_), "copy");
        check(cudaStreamSynchronize(stream_), "work");
    }

    int device_;
    cudaStream_t stream_ = nullptr;
};

}  // namespace

OpenGpu cuda_gpu(int device) {
    return [device] { return std::make_unique<CudaGpu>(device); };
}

std::unique_ptr<Refs> prepare_cuda(const StoredRows& refs, const std::vector<int>& devices, const GpuLimits& limits, int num_threads) {
    std::vector<OpenGpu> gpus;
    for (const int device : devices) gpus.push_back(cuda_gpu(device));
    return prepare_gpus("cuda", refs, gpus, limits, num_threads);
}

std::vector<std::int64_t> cuda_free_bytes(const std::vector<int>& devices) {
    std::vector<std::int64_t> free_bytes;
    for (const int device : devices) free_bytes.push_back(CudaGpu(device).free_bytes());
    return free_bytes;
}

std::vector<double> cuda_row_norms(const StoredRows& rows, int device) {
    CudaGpu gpu(device);
    return norms_on_gpu(gpu, rows);
}

CudaInfo cuda_info() {
    CudaInfo info;
    int num_devices = 0;
    const cudaError_t status = cudaGetDeviceCount(&num_devices);
    if (status != cudaSuccess) {
        (void)cudaGetLastError();
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
