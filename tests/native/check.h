// CHECK(truth) ends a native check with exit status 1 and the line at the first thing that is false.
#pragma once

#include <cstdio>
#include <cstdlib>

#define CHECK(truth)                                                         \
    do {                                                                     \
        if (!(truth)) {                                                      \
            std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #truth); \
            std::exit(1);                                                    \
        }                                                                    \
    } while (false)
