// The best k of candidates that something else found, by ratio_search's predicate and exact score.
//
// Each query brings num_candidates rows of references, in any order, perhaps repeated, -1 for none. Those
// whose norms pass the per-pair test are scored in the fixed order of exact_dot.h, so that a pair has the
// same bits here as in the exact search. Result order: score descending, then reference row ascending.
#pragma once

#include "../ratio_search/ratio_search.h"

namespace asl::rescore {

// candidate: queries.num_rows x num_candidates, each -1 or a row of refs.
ratio_search::Found rescore(const ratio_search::Rows& queries, const ratio_search::StoredRows& refs,
                            const std::int64_t* candidate, std::int64_t num_candidates,
                            const ratio_search::Wanted& wanted, int num_threads);

}  // namespace asl::rescore
