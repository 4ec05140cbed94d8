// asl_fast._C: the only file that sees pybind11. Arguments were checked in Python (kernels/*/__init__.py).
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>

#include "common/cpu.h"
#include "depthwise/depthwise.h"
#include "patch_overlap/patch_overlap.h"
#include "ratio_search/ratio_search.h"
#include "rescore/gpu_rescorer.h"
#include "rescore/rescore.h"
#include "resize/resize.h"

namespace py = pybind11;
namespace rs = asl::ratio_search;

namespace {

using Floats = py::array_t<float, py::array::c_style>;
using Doubles = py::array_t<double, py::array::c_style>;
using Int64s = py::array_t<std::int64_t, py::array::c_style>;

rs::Rows borrow(const Floats& value, const Doubles& row_norm, const Doubles& norm) {
    if (value.ndim() != 2 || row_norm.size() != value.shape(0) || norm.size() != value.shape(0)) {
        throw std::invalid_argument("ratio_search: rows must be (N, D) with one norm of each kind a row");
    }
    return {value.data(), value.shape(0), value.shape(1), row_norm.data(), norm.data()};
}

// Row, score and ratio of every pair, (Q, k); with k = 0 as wide as the longest list.
py::tuple as_arrays(const rs::Found& found, const rs::Rows& queries, const double* ref_norm, std::int64_t k) {
    std::int64_t width = k;
    if (k == 0) {
        for (const auto& list : found) width = std::max(width, static_cast<std::int64_t>(list.size()));
    }
    const std::vector<py::ssize_t> shape{static_cast<py::ssize_t>(found.size()), width};
    py::array_t<std::int64_t> row(shape);
    py::array_t<double> score(shape), ratio(shape);
    std::fill_n(row.mutable_data(), row.size(), std::int64_t{-1});
    std::fill_n(score.mutable_data(), score.size(), -std::numeric_limits<double>::infinity());
    std::fill_n(ratio.mutable_data(), ratio.size(), std::numeric_limits<double>::quiet_NaN());
    for (std::size_t q = 0; q < found.size(); ++q) {
        std::int64_t cell = static_cast<std::int64_t>(q) * width;
        for (const rs::Pair& pair : found[q]) {
            row.mutable_data()[cell] = pair.row;
            score.mutable_data()[cell] = pair.score;
            ratio.mutable_data()[cell++] = queries.norm[q] / ref_norm[pair.row];
        }
    }
    return py::make_tuple(row, score, ratio);
}

// The columns of a list of pairs: query, row, score, ratio.
py::tuple as_arrays(const std::vector<rs::QueryPair>& best, const rs::Rows& queries, const double* ref_norm) {
    const auto length = static_cast<py::ssize_t>(best.size());
    py::array_t<std::int64_t> query(length), row(length);
    py::array_t<double> score(length), ratio(length);
    for (py::ssize_t i = 0; i < length; ++i) {
        const rs::QueryPair& pair = best[static_cast<std::size_t>(i)];
        query.mutable_data()[i] = pair.query;
        row.mutable_data()[i] = pair.row;
        score.mutable_data()[i] = pair.score;
        ratio.mutable_data()[i] = queries.norm[pair.query] / ref_norm[pair.row];
    }
    return py::make_tuple(query, row, score, ratio);
}

// uint16 stands for bfloat16, which NumPy lacks.
rs::Number number_of(const py::array& rows) {
    const char kind = rows.dtype().kind();
    const py::ssize_t size = rows.itemsize();
    if (kind == 'u' && size == 2) return rs::Number::bf16;
    if (kind == 'f' && size == 2) return rs::Number::f16;
    if (kind == 'f' && size == 4) return rs::Number::f32;
    if (kind == 'f' && size == 8) return rs::Number::f64;
    throw std::invalid_argument("ratio_search: rows must be float16, uint16 (bfloat16), float32 or float64");
}

bool is_c_style(const py::array& array) { return (array.flags() & py::array::c_style) != 0; }

rs::StoredRows stored(const py::array& value) {
    if (value.ndim() != 2 || value.shape(1) == 0 || !is_c_style(value)) {
        throw std::invalid_argument("ratio_search: rows must be (N, D), C-contiguous");
    }
    rs::StoredRows rows;
    rows.value = value.data();
    rows.number = number_of(value);
    rows.num_rows = value.shape(0);
    rows.num_dims = value.shape(1);
    return rows;
}

rs::StoredRows stored(const py::array& value, const Doubles& row_norm, const Doubles& norm) {
    rs::StoredRows rows = stored(value);
    if (rows.num_rows == 0 || row_norm.size() != rows.num_rows || norm.size() != rows.num_rows) {
        throw std::invalid_argument("ratio_search: there must be a row, and one norm of each kind for each");
    }
    rows.row_norm = row_norm.data();
    rows.norm = norm.data();
    return rows;
}

// code, inverse scale, residual
using Codes = std::tuple<py::array_t<std::int8_t, py::array::c_style>, Floats, Floats>;

rs::StoredCodes borrow(const Codes& codes, const py::array& rows) {
    const auto& [code, inverse_scale, residual] = codes;
    if (code.ndim() != 2 || code.shape(0) != rows.shape(0) || code.shape(1) != rows.shape(1) ||
        inverse_scale.size() != rows.shape(0) || residual.size() != rows.shape(0)) {
        throw std::invalid_argument("ratio_search: codes must have the rows' shape, and one scale and residual each");
    }
    return {code.data(), inverse_scale.data(), residual.data()};
}

// Rows on a GPU at an address of it. kind: f16, bf16, f32 or f64. stream: CUDA's, of the work that makes them.
struct RowsOnGpu {
    rs::StoredRows rows;

    RowsOnGpu(std::uintptr_t address, const std::string& kind, std::int64_t num_rows, std::int64_t num_dims, std::uintptr_t stream) {
        static const std::map<std::string, rs::Number> kinds{
            {"f16", rs::Number::f16}, {"bf16", rs::Number::bf16}, {"f32", rs::Number::f32}, {"f64", rs::Number::f64}};
        if (kinds.count(kind) == 0 || num_rows < 0 || num_dims < 1) throw std::invalid_argument("ratio_search: no such rows on a GPU");
        rows.value = reinterpret_cast<const void*>(address);
        rows.on_gpu = true;
        rows.stream = stream;
        rows.number = kinds.at(kind);
        rows.num_rows = num_rows;
        rows.num_dims = num_dims;
    }
    std::uintptr_t address() const { return reinterpret_cast<std::uintptr_t>(rows.value); }
};

// Rows of an array of this machine, or on a GPU.
rs::StoredRows stored(const py::object& given, const Doubles& row_norm, const Doubles& norm) {
    if (!py::isinstance<RowsOnGpu>(given)) return stored(given.cast<py::array>(), row_norm, norm);
    rs::StoredRows rows = given.cast<const RowsOnGpu&>().rows;
    if (rows.num_rows == 0 || row_norm.size() != rows.num_rows || norm.size() != rows.num_rows) {
        throw std::invalid_argument("ratio_search: there must be a row, and one norm of each kind for each");
    }
    rows.row_norm = row_norm.data();
    rows.norm = norm.data();
    return rows;
}

Doubles as_array(const std::vector<double>& values) {
    Doubles array(static_cast<py::ssize_t>(values.size()));
    std::copy(values.begin(), values.end(), array.mutable_data());
    return array;
}

rs::Direction direction_named(const std::string& name) {
    if (name == "copy") return rs::Direction::copy;
    if (name == "original") return rs::Direction::original;
    if (name == "both") return rs::Direction::both;
    throw std::invalid_argument("ratio_search: direction must be copy, original or both, got " + name);
}

rs::Grouping grouping_named(const std::string& name) {
    if (name == "never") return rs::Grouping::never;
    if (name == "auto") return rs::Grouping::if_it_pays;
    if (name == "always") return rs::Grouping::always;
    throw std::invalid_argument("ratio_search: grouping must be auto, always or never, got " + name);
}

// What is the same in every kind of search. Holds the arrays that `queries` borrows.
struct Asked {
    py::object value;
    Doubles row_norm, norm, tau, min_score, bias, scale;
    rs::SoftRatio soft;
    rs::Direction direction;
    std::optional<Int64s> rank;
    rs::StoredRows on_gpu;
    rs::Rows queries;

    Asked(py::object value_, Doubles row_norm_, Doubles norm_, Doubles tau_, Doubles min_score_, Doubles bias_,
          Doubles scale_, std::pair<double, double> soft_, const std::string& direction_, std::optional<Int64s> rank_)
        : value(std::move(value_)),
          row_norm(std::move(row_norm_)),
          norm(std::move(norm_)),
          tau(std::move(tau_)),
          min_score(std::move(min_score_)),
          bias(std::move(bias_)),
          scale(std::move(scale_)),
          soft{soft_.first, soft_.second},
          direction(direction_named(direction_)),
          rank(std::move(rank_)) {
        if (!py::isinstance<RowsOnGpu>(value)) {
            value = value.cast<Floats>();
            queries = borrow(py::reinterpret_borrow<Floats>(value), row_norm, norm);
            return;
        }
        on_gpu = value.cast<const RowsOnGpu&>().rows;
        if (row_norm.size() != on_gpu.num_rows || norm.size() != on_gpu.num_rows) {
            throw std::invalid_argument("ratio_search: rows must have one norm of each kind a row");
        }
        queries = {nullptr, on_gpu.num_rows, on_gpu.num_dims, row_norm.data(), norm.data(), &on_gpu};
    }
    Asked(const Asked&) = delete;
    Asked& operator=(const Asked&) = delete;

    rs::Wanted wanted(std::int64_t k, rs::Counts* counts, const rs::Say* say) const {
        return {k, min_score.data(), bias.data(), tau.data(), direction, counts, rank ? rank->data() : nullptr, say, scale.data(), soft};
    }
};

// What a search says from any of its threads, to be warned of once it is over.
class Said {
   public:
    const rs::Say* say() const { return &say_; }
    void warn() const {
        for (const std::string& line : lines_) {
            if (PyErr_WarnEx(PyExc_RuntimeWarning, line.c_str(), 1) != 0) throw py::error_already_set();
        }
    }

   private:
    std::mutex mutex_;
    std::vector<std::string> lines_;
    rs::Say say_ = [this](const std::string& line) {
        const std::lock_guard<std::mutex> lock(mutex_);
        lines_.push_back(line);
    };
};

// Runs in the caller's thread, so that Ctrl-C and an exception of the callback end the search.
rs::Tell teller(const py::object& progress) {
    return [&progress](std::int64_t done, std::int64_t total) {
        const py::gil_scoped_acquire acquired;
        if (PyErr_CheckSignals() != 0) throw py::error_already_set();
        if (!progress.is_none()) progress(done, total);
        return true;
    };
}

// Prepared references together with the arrays that they borrow.
class Refs {
   public:
    template <typename AnyRows, typename Prepare>
    Refs(std::vector<py::object> kept, const AnyRows& rows, bool on_gpu, const Prepare& prepare)
        : kept_(std::move(kept)), num_rows_(rows.num_rows), num_dims_(rows.num_dims), norm_(rows.norm), on_gpu_(on_gpu) {
        const py::gil_scoped_release released;
        refs_ = prepare();
    }

    std::string path() const { return refs_->path(); }
    py::tuple search(const Asked& asked, std::int64_t k, int num_threads, const py::object& progress,
                     const py::object& counts) const;
    py::tuple best_pairs(const Asked& asked, std::int64_t k, std::int64_t num_pairs, int num_threads,
                         const py::object& progress, const py::object& counts) const;

   private:
    void check(const Asked& asked) const;

    std::vector<py::object> kept_;
    std::int64_t num_rows_;
    std::int64_t num_dims_;
    const double* norm_;  // the predicate's, one a row
    bool on_gpu_;
    std::unique_ptr<rs::Refs> refs_;
};

void Refs::check(const Asked& asked) const {
    if (asked.queries.on_gpu != nullptr && !on_gpu_) throw std::invalid_argument("ratio_search: queries on a GPU were asked of a CPU");
    if (asked.queries.num_dims != num_dims_ || asked.tau.size() != asked.queries.num_rows ||
        asked.min_score.size() != asked.queries.num_rows || asked.bias.size() != asked.queries.num_rows ||
        asked.scale.size() != asked.queries.num_rows || (asked.rank && asked.rank->size() != num_rows_)) {
        throw std::invalid_argument(
            "ratio_search: queries must have the references' width, one tau, min_score, bias and scale each; rank is one a reference");
    }
}

void report(const rs::Counts& done, const py::object& counts) {
    if (counts.is_none()) return;
    counts["screened"] = done.screened.load();
    counts["passed"] = done.passed.load();
    counts["scored"] = done.scored.load();
}

py::tuple Refs::search(const Asked& asked, std::int64_t k, int num_threads, const py::object& progress,
                       const py::object& counts) const {
    check(asked);
    rs::Counts done;
    Said said;
    rs::Found found;
    const rs::Wanted wanted = asked.wanted(k, counts.is_none() ? nullptr : &done, said.say());
    {
        const py::gil_scoped_release released;
        refs_->search(asked.queries, wanted, num_threads, teller(progress), found);
    }
    report(done, counts);
    said.warn();
    return as_arrays(found, asked.queries, norm_, k);
}

py::tuple Refs::best_pairs(const Asked& asked, std::int64_t k, std::int64_t num_pairs, int num_threads,
                           const py::object& progress, const py::object& counts) const {
    check(asked);
    rs::Counts done;
    Said said;
    std::vector<rs::QueryPair> best;
    const rs::Wanted wanted = asked.wanted(k, counts.is_none() ? nullptr : &done, said.say());
    {
        const py::gil_scoped_release released;
        refs_->best_pairs(asked.queries, wanted, num_pairs, num_threads, teller(progress), best);
    }
    report(done, counts);
    said.warn();
    return as_arrays(best, asked.queries, norm_);
}

Doubles row_norms(const py::array& value, int num_threads) {
    const rs::StoredRows rows = stored(value);
    Doubles norm(rows.num_rows);
    double* const out = norm.mutable_data();
    const py::gil_scoped_release released;
    if (rows.num_rows > 0) rs::row_norms(rows, num_threads, out);
    return norm;
}

Doubles soft_losses(const Doubles& ratio, const std::pair<double, double>& soft) {
    const rs::SoftRatio by{soft.first, soft.second};
    Doubles loss(ratio.size());
    std::transform(ratio.data(), ratio.data() + ratio.size(), loss.mutable_data(), [&](double each) { return by.loss(each); });
    return loss;
}

Codes encode_rows(const py::array& value, const Doubles& row_norm, int num_threads) {
    const rs::StoredRows rows = stored(value, row_norm, row_norm);
    Codes codes{py::array_t<std::int8_t>({rows.num_rows, rows.num_dims}), Floats(rows.num_rows), Floats(rows.num_rows)};
    auto& [code, inverse_scale, residual] = codes;
    std::int8_t* const code_out = code.mutable_data();
    float* const scale_out = inverse_scale.mutable_data();
    float* const residual_out = residual.mutable_data();
    {
        const py::gil_scoped_release released;
        rs::encode_rows(rows, num_threads, code_out, scale_out, residual_out);
    }
    return codes;
}

py::tuple rescore(const Int64s& candidate, const Floats& query, const Doubles& query_row_norm, const Doubles& query_norm,
                  const py::array& ref, const Doubles& ref_row_norm, const Doubles& ref_norm, const Doubles& tau,
                  std::int64_t k, const Doubles& min_score, const Doubles& bias, const Doubles& scale,
                  const std::pair<double, double>& soft, const std::string& direction, int num_threads) {
    const rs::Rows queries = borrow(query, query_row_norm, query_norm);
    const rs::StoredRows refs = stored(ref, ref_row_norm, ref_norm);
    if (queries.num_dims != refs.num_dims || tau.size() != queries.num_rows || min_score.size() != queries.num_rows ||
        bias.size() != queries.num_rows || scale.size() != queries.num_rows || candidate.ndim() != 2 || candidate.shape(0) != queries.num_rows) {
        throw std::invalid_argument("rescore: queries must have the references' width, one tau, min_score, bias, scale and list each");
    }
    const rs::Wanted wanted{k, min_score.data(), bias.data(), tau.data(), direction_named(direction), nullptr, nullptr, nullptr,
                            scale.data(), {soft.first, soft.second}};
    rs::Found found;
    {
        const py::gil_scoped_release released;
        found = asl::rescore::rescore(queries, refs, candidate.data(), candidate.shape(1), wanted, num_threads);
    }
    return as_arrays(found, queries, refs.norm, k);
}

// References of `rescore` on a GPU together with the arrays that they borrow.
class GpuRescorer {
   public:
    GpuRescorer(const py::array& value, const Doubles& row_norm, const Doubles& norm, const rs::OpenGpu& open,
                const rs::GpuLimits& limits, int num_threads)
        : kept_{value, row_norm, norm}, refs_(stored(value, row_norm, norm)) {
        const py::gil_scoped_release released;
        rescorer_ = asl::rescore::prepare_gpu_rescorer(refs_, open, limits, num_threads);
    }

    py::tuple best(const Int64s& candidate, const Asked& asked, std::int64_t k) const {
        if (candidate.ndim() != 2) throw std::invalid_argument("rescore: candidates must be (Q, F)");
        return best_of(candidate.data(), false, candidate.shape(0), candidate.shape(1), asked, k);
    }
    // Candidates at an address of the GPU: num_queries rows of num_candidates.
    py::tuple best_on_gpu(std::uintptr_t candidate, std::int64_t num_queries, std::int64_t num_candidates, const Asked& asked,
                          std::int64_t k) const {
        return best_of(reinterpret_cast<const std::int64_t*>(candidate), true, num_queries, num_candidates, asked, k);
    }

   private:
    py::tuple best_of(const std::int64_t* candidate, bool on_gpu, std::int64_t num_queries, std::int64_t num_candidates,
                      const Asked& asked, std::int64_t k) const {
        const rs::Rows& queries = asked.queries;
        if (queries.on_gpu != nullptr) throw std::invalid_argument("rescore: queries must be in this machine's memory");
        if (queries.num_dims != refs_.num_dims || asked.tau.size() != queries.num_rows ||
            asked.min_score.size() != queries.num_rows || asked.bias.size() != queries.num_rows ||
            asked.scale.size() != queries.num_rows || num_queries != queries.num_rows) {
            throw std::invalid_argument("rescore: queries must have the references' width, one tau, min_score, bias, scale and list each");
        }
        Said said;
        const rs::Wanted wanted = asked.wanted(k, nullptr, said.say());
        rs::Found found;
        {
            const py::gil_scoped_release released;
            found = rescorer_->best(queries, candidate, on_gpu, num_candidates, wanted);
        }
        said.warn();
        return as_arrays(found, queries, refs_.norm, k);
    }

    std::vector<py::object> kept_;
    rs::StoredRows refs_;
    std::unique_ptr<asl::rescore::GpuRescorer> rescorer_;
};

GpuRescorer cuda_rescorer(const py::array& value, const Doubles& row_norm, const Doubles& norm, int device, int num_threads) {
#if defined(ASL_FAST_WITH_CUDA)
    return {value, row_norm, norm, rs::cuda_gpu(device), rs::GpuLimits{}, num_threads};
#else
    (void)value, (void)row_norm, (void)norm, (void)device, (void)num_threads;
    throw std::invalid_argument("rescore: this build has no CUDA; use device='cpu'");
#endif
}

GpuRescorer emulated_rescorer(const py::array& value, const Doubles& row_norm, const Doubles& norm, std::int64_t capacity,
                              std::int64_t buffer_bytes, unsigned seed) {
    rs::GpuLimits limits;
    limits.capacity = capacity;
    limits.buffer_bytes = buffer_bytes;
    return {value, row_norm, norm, rs::emulated_gpu(std::int64_t{1} << 30, seed), limits, 1};
}

// Input (B, H, W, C) and the output's gradient (B, H', W', C) -> weight (C, K, K), bias (C).
template <typename Number>
py::tuple depthwise_weight_gradient(const py::array_t<Number, py::array::c_style>& input,
                                    const py::array_t<Number, py::array::c_style>& gradient, int kernel, int stride,
                                    std::int64_t top, std::int64_t left, int num_threads,
                                    const std::string& instructions) {
    if (input.ndim() != 4 || gradient.ndim() != 4 || input.shape(0) != gradient.shape(0) ||
        input.shape(3) != gradient.shape(3)) {
        throw std::invalid_argument("depthwise: input (B, H, W, C) and gradient (B, H', W', C) don't belong together");
    }
    const asl::depthwise::Shape shape{input.shape(0), input.shape(1), input.shape(2), input.shape(3), gradient.shape(1),
                                      gradient.shape(2), top, left, kernel, stride};
    const py::ssize_t channels = input.shape(3);
    py::array_t<float> weight(std::vector<py::ssize_t>{channels, kernel, kernel}), bias(channels);
    float *const to = weight.mutable_data(), *const bias_to = bias.mutable_data();
    {
        const py::gil_scoped_release released;
        asl::depthwise::weight_gradient(shape, input.data(), gradient.data(), num_threads, instructions, to, bias_to);
    }
    return py::make_tuple(weight, bias);
}

// Pixels (H, W, 3) whose rows may lie apart -> (height, width, 3).
py::array_t<std::uint8_t> resize(const py::array_t<std::uint8_t>& pixels, std::int64_t height, std::int64_t width,
                                 const std::string& instructions) {
    const bool is_rgb = pixels.ndim() == 3 && pixels.shape(2) == 3 && pixels.size() > 0;
    if (!is_rgb || height < 1 || width < 1) {
        throw std::invalid_argument("resize: pixels must be RGB (H, W, 3), sizes 1 or more");
    }
    // strides of a single row or column may be anything
    const py::ssize_t row_bytes = pixels.shape(0) == 1 ? 3 * pixels.shape(1) : pixels.strides(0);
    if (pixels.strides(2) != 1 || (pixels.shape(1) > 1 && pixels.strides(1) != 3) || row_bytes < 3 * pixels.shape(1)) {
        throw std::invalid_argument("resize: rows of pixels must be whole and in their order");
    }
    py::array_t<std::uint8_t> out(std::vector<py::ssize_t>{height, width, 3});
    const asl::resize::Picture picture{pixels.data(), pixels.shape(0), pixels.shape(1), row_bytes};
    std::uint8_t* const to = out.mutable_data();
    {
        const py::gil_scoped_release released;
        asl::resize::resize(picture, height, width, instructions, to);
    }
    return out;
}

// (M,) number of patch a, of patch b, share of a.
py::tuple patch_overlaps(const Doubles& matrix, const Doubles& region, std::pair<std::int64_t, std::int64_t> a_grid,
                         std::pair<std::int64_t, std::int64_t> b_grid) {
    namespace po = asl::patch_overlap;
    if (matrix.ndim() != 2 || matrix.shape(0) != 3 || matrix.shape(1) != 3 || region.ndim() != 2 ||
        region.shape(1) != 2 || std::min({a_grid.first, a_grid.second, b_grid.first, b_grid.second}) < 1) {
        throw std::invalid_argument("patch_overlap: takes a (3, 3) matrix, a (C, 2) region and grids of 1 or more");
    }
    std::vector<po::Point> corners;
    for (py::ssize_t i = 0; i < region.shape(0); ++i) corners.push_back({region.at(i, 0), region.at(i, 1)});
    std::vector<po::Overlap> found;
    {
        const py::gil_scoped_release released;
        found = po::overlaps(matrix.data(), corners, {a_grid.first, a_grid.second}, {b_grid.first, b_grid.second});
    }
    const auto length = static_cast<py::ssize_t>(found.size());
    py::array_t<std::int64_t> a(length), b(length);
    py::array_t<double> share(length);
    for (py::ssize_t i = 0; i < length; ++i) {
        const po::Overlap& one = found[static_cast<std::size_t>(i)];
        a.mutable_data()[i] = one.a;
        b.mutable_data()[i] = one.b;
        share.mutable_data()[i] = one.share;
    }
    return py::make_tuple(a, b, share);
}

Refs prepare_cpu(const py::array& value, const Doubles& row_norm, const Doubles& norm,
                 const std::optional<Codes>& codes, std::int64_t hit_bytes, int num_threads, const std::string& instructions,
                 const std::string& grouping) {
    const rs::StoredRows rows = stored(value, row_norm, norm);
    const rs::StoredCodes given = codes ? borrow(*codes, value) : rs::StoredCodes{};
    return Refs({value, row_norm, norm}, rows, false, [&] {
        return rs::prepare_cpu(rows, codes ? &given : nullptr, hit_bytes, num_threads, instructions, grouping_named(grouping));
    });
}

Refs prepare_emulated(const py::object& value, const Doubles& row_norm, const Doubles& norm, int num_gpus, std::int64_t gpu_bytes,
                      std::int64_t chunk_rows, std::int64_t capacity, std::int64_t buffer_bytes, bool rows_on_host, unsigned seed) {
    const rs::StoredRows rows = stored(value, row_norm, norm);
    return Refs({value, row_norm, norm}, rows, true, [&] {
        return rs::prepare_emulated(rows, num_gpus, gpu_bytes, {chunk_rows, capacity, buffer_bytes, rows_on_host}, 1, seed);
    });
}

// An array's rows in an emulated GPU's memory.
struct EmulatedRows {
    rs::EmulatedRows memory;
    RowsOnGpu there;

    EmulatedRows(const py::array& value, const std::string& kind)
        : memory(stored(value)),
          there(reinterpret_cast<std::uintptr_t>(memory.value()), kind, value.shape(0), value.shape(1), 0) {}
};

Doubles cuda_row_norms(const RowsOnGpu& rows, int device) {
#if defined(ASL_FAST_WITH_CUDA)
    std::vector<double> norm;
    {
        const py::gil_scoped_release released;
        norm = rs::cuda_row_norms(rows.rows, device);
    }
    return as_array(norm);
#else
    (void)rows, (void)device;
    throw std::invalid_argument("ratio_search: this build has no CUDA; use device='cpu'");
#endif
}

Refs prepare_cuda(const py::object& value, const Doubles& row_norm, const Doubles& norm, const std::vector<int>& devices,
                  std::int64_t buffer_bytes, bool rows_on_host, int num_threads) {
#if defined(ASL_FAST_WITH_CUDA)
    const rs::StoredRows rows = stored(value, row_norm, norm);
    rs::GpuLimits limits;
    limits.buffer_bytes = buffer_bytes;
    limits.rows_on_host = rows_on_host;
    return Refs({value, row_norm, norm}, rows, true, [&] { return rs::prepare_cuda(rows, devices, limits, num_threads); });
#else
    (void)value, (void)row_norm, (void)norm, (void)devices, (void)buffer_bytes, (void)rows_on_host, (void)num_threads;
    throw std::invalid_argument("ratio_search: this build has no CUDA; use device='cpu'");
#endif
}

std::vector<std::int64_t> cuda_free_bytes(const std::vector<int>& devices) {
#if defined(ASL_FAST_WITH_CUDA)
    return rs::cuda_free_bytes(devices);
#else
    (void)devices;
    throw std::invalid_argument("ratio_search: this build has no CUDA; use device='cpu'");
#endif
}

py::dict build_info() {
    py::dict info;
    info["compiler"] = ASL_FAST_COMPILER;
    info["instruction_sets"] = rs::compiled_paths();
    info["cpu_features"] = asl::cpu_feature_names();
    info["cpu_paths"] = rs::cpu_paths();
    info["chosen"] = rs::cpu_paths().front();
#if defined(ASL_FAST_WITH_CUDA)
    const rs::CudaInfo cuda = rs::cuda_info();
    info["with_cuda"] = true;
    info["cuda_version"] = ASL_FAST_CUDA_VERSION;
    info["cuda_architectures"] = ASL_FAST_CUDA_ARCHITECTURES;
    info["cuda_devices"] = cuda.device_names;
    info["cuda_problem"] = cuda.problem;
#else
    info["with_cuda"] = false;
    info["cuda_version"] = "";
    info["cuda_architectures"] = "";
    info["cuda_devices"] = std::vector<std::string>();
    info["cuda_problem"] = "this build has no CUDA";
#endif
    return info;
}

}  // namespace

PYBIND11_MODULE(_C, module) {
    module.doc() = "The compiled part of asl_fast. Typed in _C.pyi; called through asl_fast.kernels.";
    module.def("build_info", &build_info);
    module.def("row_norms", &row_norms, py::arg("rows"), py::arg("num_threads"));
    module.def("encode_rows", &encode_rows, py::arg("rows"), py::arg("row_norm"), py::arg("num_threads"));
    module.def("soft_losses", &soft_losses, py::arg("ratio"), py::arg("soft"));
    module.def("rescore", &rescore, py::arg("candidates").noconvert(), py::arg("queries").noconvert(),
               py::arg("query_row_norm"), py::arg("query_norm"), py::arg("refs").noconvert(), py::arg("ref_row_norm"),
               py::arg("ref_norm"), py::arg("tau"), py::arg("k"), py::arg("min_score"), py::arg("bias"), py::arg("scale"), py::arg("soft"),
               py::arg("direction"), py::arg("num_threads"));
    module.def("patch_overlaps", &patch_overlaps, py::arg("matrix"), py::arg("region"), py::arg("a_grid"),
               py::arg("b_grid"));
    const auto depthwise = [&module](auto function) {
        module.def("depthwise_weight_gradient", function, py::arg("input").noconvert(), py::arg("gradient").noconvert(),
                   py::arg("kernel"), py::arg("stride"), py::arg("top"), py::arg("left"), py::arg("num_threads"),
                   py::arg("instructions"));
    };
    depthwise(&depthwise_weight_gradient<float>);
    depthwise(&depthwise_weight_gradient<std::uint16_t>);
    module.def("depthwise_paths", &asl::depthwise::paths);
    module.def("resize", &resize, py::arg("pixels").noconvert(), py::arg("height"), py::arg("width"),
               py::arg("instructions"));
    module.def("resize_paths", &asl::resize::paths);
    module.def("prepare_cpu", &prepare_cpu, py::arg("rows"), py::arg("row_norm"), py::arg("norm"), py::arg("codes"),
               py::arg("hit_bytes"), py::arg("num_threads"), py::arg("instructions"), py::arg("grouping"));
    module.def("prepare_cuda", &prepare_cuda, py::arg("rows"), py::arg("row_norm"), py::arg("norm"), py::arg("devices"),
               py::arg("buffer_bytes"), py::arg("rows_on_host"), py::arg("num_threads"));
    module.def("cuda_row_norms", &cuda_row_norms, py::arg("rows"), py::arg("gpu"));
    module.def("cuda_free_bytes", &cuda_free_bytes, py::arg("devices"));
    module.def("prepare_emulated", &prepare_emulated, py::arg("rows"), py::arg("row_norm"), py::arg("norm"), py::arg("num_gpus"),
               py::arg("gpu_bytes"), py::arg("chunk_rows"), py::arg("capacity"), py::arg("buffer_bytes"), py::arg("rows_on_host"),
               py::arg("seed"));
    py::class_<RowsOnGpu>(module, "RowsOnGpu")
        .def(py::init<std::uintptr_t, const std::string&, std::int64_t, std::int64_t, std::uintptr_t>(), py::arg("address"),
             py::arg("kind"), py::arg("num_rows"), py::arg("num_dims"), py::arg("stream"))
        .def_property_readonly("address", &RowsOnGpu::address);
    py::class_<EmulatedRows>(module, "EmulatedRows")
        .def(py::init<const py::array&, const std::string&>(), py::arg("rows"), py::arg("kind"))
        .def_readonly("there", &EmulatedRows::there);
    module.def("emulated_row_norms", [](const RowsOnGpu& given) { return as_array(rs::emulated_row_norms(given.rows)); }, py::arg("rows"));
    py::class_<Asked>(module, "Asked")
        .def(py::init<py::object, Doubles, Doubles, Doubles, Doubles, Doubles, Doubles, std::pair<double, double>, const std::string&,
                      std::optional<Int64s>>(),
             py::arg("queries"), py::arg("row_norm"), py::arg("norm"), py::arg("tau"), py::arg("min_score"),
             py::arg("bias"), py::arg("scale"), py::arg("soft"), py::arg("direction"), py::arg("rank"));
    py::class_<GpuRescorer>(module, "GpuRescorer")
        .def("best", &GpuRescorer::best, py::arg("candidates").noconvert(), py::arg("asked"), py::arg("k"))
        .def("best_on_gpu", &GpuRescorer::best_on_gpu, py::arg("address"), py::arg("num_queries"), py::arg("num_candidates"),
             py::arg("asked"), py::arg("k"));
    module.def("cuda_rescorer", &cuda_rescorer, py::arg("rows"), py::arg("row_norm"), py::arg("norm"), py::arg("gpu"),
               py::arg("num_threads"));
    module.def("emulated_rescorer", &emulated_rescorer, py::arg("rows"), py::arg("row_norm"), py::arg("norm"), py::arg("capacity"),
               py::arg("buffer_bytes"), py::arg("seed"));
    py::class_<Refs>(module, "Refs")
        .def_property_readonly("path", &Refs::path)
        .def("search", &Refs::search, py::arg("asked"), py::arg("k"), py::arg("num_threads"), py::arg("progress"),
             py::arg("counts") = py::none())
        .def("best_pairs", &Refs::best_pairs, py::arg("asked"), py::arg("k"), py::arg("num_pairs"), py::arg("num_threads"),
             py::arg("progress"), py::arg("counts") = py::none());
}
