// One thread block of a GPU on this machine, so that tests can run the kernels' own source (gpu_kernels.h).
//
// It errs on the side of surprise: threads run one at a time, in a random order between two barriers, and asynchronous
// copies arrive no earlier than they must. A barrier or a wait that is missing then shows as a wrong answer, and a
// barrier that some threads never reach as an error.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <random>

namespace asl::ratio_search {

class EmulatedThreads;

// One thread's view: what gpu_kernels.h calls `Block`.
class EmulatedBlock {
   public:
    EmulatedBlock(EmulatedThreads& threads, int thread, std::int64_t x, std::int64_t y) : threads_(threads), thread_(thread), x_(x), y_(y) {}

    int thread() const { return thread_; }
    std::int64_t x() const { return x_; }
    std::int64_t y() const { return y_; }
    void sync();
    unsigned long long add(unsigned long long* counter, unsigned long long number) {
        const unsigned long long before = *counter;
        *counter += number;
        return before;
    }
    void copy16(void* to, const void* from);
    void commit();
    template <int kLeft>
    void wait() {
        wait_for_all_but(kLeft);
    }
    void multiply(std::int32_t (&sum)[4][8][4], const std::uint32_t (&a)[4][4], const std::uint32_t (&b)[8][2]);
    int lowest_bit(std::uint32_t bits) const { return __builtin_ctz(bits); }

   private:
    void wait_for_all_but(int num_groups);

    EmulatedThreads& threads_;
    int thread_;
    std::int64_t x_, y_;
};

class BlockEmulator {
   public:
    BlockEmulator(int num_threads, unsigned seed);
    ~BlockEmulator();

    // Every block of a grid, one after the other in a random order. std::logic_error if threads wait forever.
    void run(std::int64_t num_x, std::int64_t num_y, const std::function<void(EmulatedBlock&)>& kernel);

   private:
    std::unique_ptr<EmulatedThreads> threads_;
    std::mt19937 random_;
};

}  // namespace asl::ratio_search
