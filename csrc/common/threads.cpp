#include "threads.h"

#include <algorithm>
#include <cfenv>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace asl {
namespace {

struct Crew {
    std::mutex mutex;
    std::condition_variable finished;
    int num_running = 0;
    std::exception_ptr error;
    std::atomic<std::int64_t> next{0};
};

void keep_first(Crew& crew, std::exception_ptr error) {
    const std::lock_guard<std::mutex> lock(crew.mutex);
    if (!crew.error) crew.error = error;
}

void run_worker(Crew& crew, std::int64_t num_tasks, Progress& progress,
                const std::function<void(std::int64_t)>& task) {
    std::fesetenv(FE_DFL_ENV);
    try {
        while (!progress.stop) {
            const std::int64_t index = crew.next++;
            if (index >= num_tasks) break;
            task(index);
        }
    } catch (...) {
        keep_first(crew, std::current_exception());
        progress.stop = true;
    }
    const std::lock_guard<std::mutex> lock(crew.mutex);
    if (--crew.num_running == 0) crew.finished.notify_one();
}

// Wait for the last worker; meanwhile show the watch how far they are. False if it asked to stop.
bool wait_and_watch(Crew& crew, Progress& progress, const Watch& watch) {
    bool wanted = true;
    std::unique_lock<std::mutex> lock(crew.mutex);
    while (crew.num_running > 0) {
        crew.finished.wait_for(lock, std::chrono::milliseconds(100));
        if (crew.num_running == 0 || !watch || !wanted) continue;
        lock.unlock();
        try {
            wanted = watch();
        } catch (...) {
            keep_first(crew, std::current_exception());
            wanted = false;
        }
        if (!wanted) progress.stop = true;
        lock.lock();
    }
    return wanted;
}

}  // namespace

bool run_tasks(std::int64_t num_tasks, int num_threads, Progress& progress, const Watch& watch,
               const std::function<void(std::int64_t)>& task) {
    Crew crew;
    const std::int64_t num_workers = std::min<std::int64_t>(std::max(num_threads, 1), num_tasks);
    std::vector<std::thread> workers;
    workers.reserve(static_cast<std::size_t>(num_workers));
    for (std::int64_t worker = 0; worker < num_workers; ++worker) {
        {
            const std::lock_guard<std::mutex> lock(crew.mutex);
            ++crew.num_running;
        }
        try {
            workers.emplace_back([&] { run_worker(crew, num_tasks, progress, task); });
        } catch (...) {  // the system refused a thread: end the ones that run, then say so
            keep_first(crew, std::current_exception());
            progress.stop = true;
            const std::lock_guard<std::mutex> lock(crew.mutex);
            --crew.num_running;
            break;
        }
    }
    const bool wanted = wait_and_watch(crew, progress, watch);
    for (std::thread& worker : workers) worker.join();
    if (crew.error) std::rethrow_exception(crew.error);
    return wanted;
}

}  // namespace asl
