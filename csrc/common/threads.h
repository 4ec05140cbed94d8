// A fixed number of threads that share a list of tasks, and a caller that watches and may stop them.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

namespace asl {

// What the workers and the watching caller share.
struct Progress {
    std::atomic<std::int64_t> done{0};
    std::atomic<bool> stop{false};
};

// Called by run_tasks in the caller's thread about ten times a second; false asks the workers to stop.
using Watch = std::function<bool()>;

// Run task(0) ... task(num_tasks - 1) on num_threads threads, lower numbers first. Tasks that run long
// look at progress.stop and return early. Returns false if the watch asked to stop. An exception of a
// task or of the watch stops the rest and is rethrown here. Every thread runs in the default
// floating-point environment (no flush-to-zero), whatever the caller's is.
bool run_tasks(std::int64_t num_tasks, int num_threads, Progress& progress, const Watch& watch,
               const std::function<void(std::int64_t)>& task);

}  // namespace asl
