/*
 * The size of segments. docs/decisions/0017-size-of-segments.md has the
 * measurements that these numbers come from.
 */
#include "maintain/segment_size.h"

static const uint64_t LEAST_BYTES = 8 << 20;
static const uint64_t SEGMENTS = 32;   /* that the live bytes fill */
static const double BEGIN = 0.8;       /* of what may be dead is */
static const double END = 0.25;        /* far below where merges keep it */
static const uint64_t NO_LIMIT = 1500; /* as the default */
static const uint64_t THOUSAND = 1000;

uint64_t segment_size_for(uint64_t live_bytes)
{
    uint64_t share = live_bytes / SEGMENTS;

    return share > LEAST_BYTES ? share : LEAST_BYTES;
}

bool segment_is_merged(const segment_needs *needs)
{
    uint64_t limit = needs->limit > 0 ? needs->limit : NO_LIMIT;
    double most = (double)(limit - THOUSAND) / (double)THOUSAND *
                  (double)needs->live_bytes;

    return needs->total_bytes >= needs->live_bytes &&
           (double)(needs->total_bytes - needs->live_bytes) >=
               most * (needs->is_merged ? END : BEGIN);
}
