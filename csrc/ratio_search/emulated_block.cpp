// Threads are contexts of the C library that hand over to one another at barriers; nothing runs at the same time.
#include "emulated_block.h"

#include <ucontext.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <stdexcept>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace asl::ratio_search {
namespace {

constexpr std::size_t kStackBytes = 128 << 10;
constexpr int kWarp = 32;

enum class State { ready, at_barrier, at_product, ended };

struct Copy {
    void* to;
    const void* from;
};

struct Product {
    std::int32_t (*sum)[8][4];
    const std::uint32_t (*a)[4];
    const std::uint32_t (*b)[2];
};

int code_of(std::uint32_t four, int place) { return static_cast<std::int8_t>(four >> (8 * place)); }

// 64 x 64 x 32 products of a warp in the layout that gpu_kernels.h names.
void multiply_warp(const Product* lane) {
    std::int8_t query[64][32], ref[64][32];
    for (int thread = 0; thread < kWarp; ++thread) {
        const int g = thread / 4, t = thread % 4;
        for (int part = 0; part < 4; ++part) {
            for (int c = 0; c < 4; ++c) {
                const int dim = 16 * (part / 2) + 4 * t + c;
                for (int i = 0; i < 4; ++i) query[16 * i + 8 * (part % 2) + g][dim] = static_cast<std::int8_t>(code_of(lane[thread].a[i][part], c));
                if (part % 2 != 0) continue;
                for (int j = 0; j < 8; ++j) ref[8 * j + g][dim] = static_cast<std::int8_t>(code_of(lane[thread].b[j][part / 2], c));
            }
        }
    }
    for (int thread = 0; thread < kWarp; ++thread) {
        const int g = thread / 4, t = thread % 4;
        for (int place = 0; place < 4 * 8 * 4; ++place) {
            const int i = place / 32, j = place / 4 % 8, c = place % 4;
            const std::int8_t* const q = query[16 * i + 8 * (c / 2) + g];
            const std::int8_t* const r = ref[8 * j + 2 * t + c % 2];
            std::int32_t dot = 0;
            for (int dim = 0; dim < 32; ++dim) dot += q[dim] * r[dim];
            lane[thread].sum[i][j][c] += dot;
        }
    }
}

}  // namespace

class EmulatedThreads {
   public:
    explicit EmulatedThreads(int num_threads) : thread_(static_cast<std::size_t>(num_threads)), product_(thread_.size()) {
        for (Thread& each : thread_) {
            each.stack.reset(new char[kStackBytes]);  // not set to zero: most of it is never touched
#if defined(__SANITIZE_THREAD__)
            each.fiber = __tsan_create_fiber(0);
#endif
        }
    }
    ~EmulatedThreads() {
#if defined(__SANITIZE_THREAD__)
        for (Thread& each : thread_) __tsan_destroy_fiber(each.fiber);
#endif
    }
    EmulatedThreads(const EmulatedThreads&) = delete;
    EmulatedThreads& operator=(const EmulatedThreads&) = delete;

    void run(std::int64_t x, std::int64_t y, const std::function<void(EmulatedBlock&)>& kernel, std::mt19937& random) {
        kernel_ = &kernel, x_ = x, y_ = y;
#if defined(__SANITIZE_THREAD__)
        main_fiber_ = __tsan_get_current_fiber();
#endif
        for (Thread& each : thread_) start(each);
        std::vector<std::size_t> order(thread_.size());
        std::iota(order.begin(), order.end(), std::size_t{0});
        while (!all_are(State::ended)) {
            std::shuffle(order.begin(), order.end(), random);
            bool any = false;
            for (const std::size_t t : order) {
                if (thread_[t].state != State::ready) continue;
                any = true;
                current_ = t;
                enter(thread_[t]);
            }
            if (!any) throw std::logic_error("emulated GPU: threads of a block wait for each other");
            release();
        }
    }

    void sync() { leave(State::at_barrier); }
    void multiply(const Product& product) {
        product_[current_] = product;
        leave(State::at_product);
    }
    void copy(const Copy& one) { thread_[current_].group.back().push_back(one); }
    void commit() { thread_[current_].group.emplace_back(); }
    void wait_for_all_but(int num_groups) {
        auto& group = thread_[current_].group;  // the last is still open
        while (static_cast<int>(group.size()) > num_groups + 1) {
            for (const Copy& one : group.front()) std::memcpy(one.to, one.from, 16);
            group.erase(group.begin());
        }
    }

   private:
    struct Thread {
        ucontext_t context;
        std::unique_ptr<char[]> stack;
        State state = State::ended;
        std::vector<std::vector<Copy>> group;
        void* fiber = nullptr;       // of the thread sanitizer
        void* fake_stack = nullptr;  // of the address sanitizer
    };

    void start(Thread& thread) {
        getcontext(&thread.context);
        thread.context.uc_stack.ss_sp = thread.stack.get();
        thread.context.uc_stack.ss_size = kStackBytes;
        thread.context.uc_link = nullptr;
        const auto self = reinterpret_cast<std::uintptr_t>(this);
        makecontext(&thread.context, reinterpret_cast<void (*)()>(&EmulatedThreads::begin), 2,
                    static_cast<unsigned>(self >> 32), static_cast<unsigned>(self));
        thread.state = State::ready;
        thread.group.assign(1, {});
    }

    static void begin(unsigned high, unsigned low) {
        auto* const self = reinterpret_cast<EmulatedThreads*>((std::uintptr_t{high} << 32) | low);
        self->arrived(nullptr);
        {
            EmulatedBlock block(*self, static_cast<int>(self->current_), self->x_, self->y_);
            (*self->kernel_)(block);
        }
        self->leave(State::ended);
    }

    // From the caller to a thread; returns when that thread leaves.
    void enter(Thread& thread) {
#if defined(__SANITIZE_ADDRESS__)
        __sanitizer_start_switch_fiber(&main_fake_stack_, thread.stack.get(), kStackBytes);
#endif
#if defined(__SANITIZE_THREAD__)
        __tsan_switch_to_fiber(thread.fiber, 0);
#endif
        swapcontext(&main_, &thread.context);
#if defined(__SANITIZE_ADDRESS__)
        __sanitizer_finish_switch_fiber(main_fake_stack_, nullptr, nullptr);
#endif
    }

    // From the thread that runs back to the caller, until it is entered again.
    void leave(State state) {
        Thread& thread = thread_[current_];
        thread.state = state;
#if defined(__SANITIZE_ADDRESS__)
        __sanitizer_start_switch_fiber(state == State::ended ? nullptr : &thread.fake_stack, main_bottom_, main_bytes_);
#endif
#if defined(__SANITIZE_THREAD__)
        __tsan_switch_to_fiber(main_fiber_, 0);
#endif
        swapcontext(&thread.context, &main_);
        arrived(thread.fake_stack);
    }

    void arrived([[maybe_unused]] void* fake_stack) {
#if defined(__SANITIZE_ADDRESS__)
        __sanitizer_finish_switch_fiber(fake_stack, &main_bottom_, &main_bytes_);
#endif
    }

    bool all_are(State state) const {
        return std::all_of(thread_.begin(), thread_.end(), [&](const Thread& each) { return each.state == state; });
    }

    // Let threads go on that have all arrived where they wait for each other: a barrier, or the warp's product.
    void release() {
        const auto waits = [](const Thread& each) { return each.state == State::at_barrier || each.state == State::ended; };
        if (std::all_of(thread_.begin(), thread_.end(), waits)) {
            for (Thread& each : thread_) {
                if (each.state == State::at_barrier) each.state = State::ready;
            }
        }
        for (std::size_t first = 0; first < thread_.size(); first += kWarp) {
            const auto begin = thread_.begin() + static_cast<std::ptrdiff_t>(first), end = begin + kWarp;
            if (!std::all_of(begin, end, [](const Thread& each) { return each.state == State::at_product; })) continue;
            multiply_warp(&product_[first]);
            std::for_each(begin, end, [](Thread& each) { each.state = State::ready; });
        }
    }

    std::vector<Thread> thread_;
    std::vector<Product> product_;
    std::size_t current_ = 0;
    const std::function<void(EmulatedBlock&)>* kernel_ = nullptr;
    std::int64_t x_ = 0, y_ = 0;
    ucontext_t main_;
    [[maybe_unused]] void* main_fiber_ = nullptr;
    [[maybe_unused]] void* main_fake_stack_ = nullptr;
    [[maybe_unused]] const void* main_bottom_ = nullptr;
    [[maybe_unused]] std::size_t main_bytes_ = 0;
};

void EmulatedBlock::sync() { threads_.sync(); }
void EmulatedBlock::copy16(void* to, const void* from) { threads_.copy({to, from}); }
void EmulatedBlock::commit() { threads_.commit(); }
void EmulatedBlock::wait_for_all_but(int num_groups) { threads_.wait_for_all_but(num_groups); }
void EmulatedBlock::multiply(std::int32_t (&sum)[4][8][4], const std::uint32_t (&a)[4][4], const std::uint32_t (&b)[8][2]) {
    threads_.multiply({sum, a, b});
}

BlockEmulator::BlockEmulator(int num_threads, unsigned seed) : threads_(std::make_unique<EmulatedThreads>(num_threads)), random_(seed) {}
BlockEmulator::~BlockEmulator() = default;

void BlockEmulator::run(std::int64_t num_x, std::int64_t num_y, const std::function<void(EmulatedBlock&)>& kernel) {
    std::vector<std::int64_t> block(static_cast<std::size_t>(num_x * num_y));
    std::iota(block.begin(), block.end(), std::int64_t{0});
    std::shuffle(block.begin(), block.end(), random_);
    for (const std::int64_t each : block) threads_->run(each % num_x, each / num_x, kernel, random_);
}

}  // namespace asl::ratio_search
