/*
 * What the policy chooses and why, row by row; then that the order of the
 * facts does not matter and that a plan adds up.
 */
#include "maintain/merge_policy.h"

#include <stdio.h>
#include <string.h>

#include "cask_test.h"
#include "log/segment_format.h"
#include "maintain/merge_pace.h"
#include "support/random.h"

enum {
    SEGMENTS = 8, /* of a row, at most */
    RECORD = 1024 /* bytes */
};

#define MIB(count) ((uint64_t)(count) << 20)

/* A segment with id n is the n-th of its row and was written after the
 * others. Flags:
 *   o  output      q  quarantined   e  all records have expired
 *   t  what is dead are tombstones  w  wide: has a record older than all
 *   m  what is dead are marks       x  some records may have expired
 *   u  nobody knows what is in it   s  ends where the first one begins
 *   h  half of what lives has expired
 */
typedef struct policy_fact {
    unsigned mib; /* 0: end of the list */
    unsigned live_percent;
    unsigned age_s;
    const char *flags;
} policy_fact;

typedef struct policy_row {
    const char *name;
    const char *chosen; /* ids in the order of choice; "!" after them: the
                           active segment is to be sealed */
    merge_reason reason;
    merge_wait wait;
    policy_fact facts[SEGMENTS];

    /* What differs from: no bound on amplification, no active segment, room
     * enough, asked for, in a window, everything else by default. */
    double amplification;
    unsigned active_mib; /* and its dead share */
    unsigned active_dead_percent;
    unsigned active_age_s;
    unsigned free_mib;
    unsigned open_s;
    unsigned idle_s; /* since anything was written; 0: just now */
    unsigned jitter_s;
    unsigned all_below;
    unsigned below;
    unsigned step_mib; /* 0: by default */
    unsigned max_merge_mib;
    unsigned segment_mib; /* the most; 0: 256 */
    unsigned max_segments;
    unsigned small_count;
    unsigned old_s; /* age_merge_trigger */
    unsigned expiry_s;
    unsigned grace_s;
    bool is_outside;
    bool is_cancelled;
    bool clock_disagrees;
} policy_row;

#define NONE MERGE_REASON_NONE
#define GO MERGE_WAIT_NONE

static const policy_row rows[] = {
    {"no segments", "", NONE, MERGE_WAIT_NO_SEGMENTS, .facts = {{0}}},
    {"all live", "", NONE, MERGE_WAIT_NOTHING_TO_GAIN,
     .facts = {{256, 100, 9, ""}}},
    {"below every trigger", "", NONE, MERGE_WAIT_BELOW_TRIGGERS,
     .facts = {{256, 41, 9, ""}, {256, 60, 9, ""}}},
    {"one at frag_merge_trigger", "1", MERGE_REASON_FRAGMENTATION, GO,
     .facts = {{256, 40, 9, ""}}},
    {"it takes those at frag_threshold along", "1 2",
     MERGE_REASON_FRAGMENTATION, GO,
     .facts = {{256, 39, 9, ""}, {200, 60, 9, ""}, {200, 61, 9, ""}}},
    {"but not if amplification is bounded", "1", MERGE_REASON_FRAGMENTATION, GO,
     .facts = {{256, 39, 9, ""}, {200, 60, 9, ""}, {256, 100, 9, ""}},
     .amplification = 2},
    {"dead_bytes_merge_trigger", "1", MERGE_REASON_DEAD_BYTES, GO,
     .facts = {{1024, 50, 9, ""}}},
    {"it takes those at dead_bytes_threshold along", "1 3",
     MERGE_REASON_DEAD_BYTES, GO,
     .facts = {{1200, 55, 9, ""}, {300, 61, 9, ""}, {400, 65, 9, ""}},
     .segment_mib = 2048},
    {"above the limit: best first, no more than needed", "1",
     MERGE_REASON_AMPLIFICATION, GO,
     .facts = {{256, 45, 9, ""}, {256, 75, 9, ""}, {256, 76, 9, ""}},
     .amplification = 1.5},
    {"below the limit", "", NONE, MERGE_WAIT_BELOW_TRIGGERS,
     .facts = {{256, 60, 9, ""}, {256, 75, 9, ""}, {256, 76, 9, ""}},
     .amplification = 1.5},
    {"the older one first", "2", MERGE_REASON_AMPLIFICATION, GO,
     .facts = {{256, 50, 10, ""}, {256, 60, 1000, ""}, {256, 74, 9, ""}},
     .amplification = 1.6, .max_merge_mib = 256},
    {"an age in which nothing died does not count", "1",
     MERGE_REASON_AMPLIFICATION, GO,
     .facts = {{256, 42, 10, ""}, {256, 97, 999999, ""}}, .amplification = 1.3},
    {"what is dead is in the active segment", "!", NONE, MERGE_WAIT_ACTIVE,
     .facts = {{256, 100, 9, ""}}, .amplification = 1.5, .active_mib = 200,
     .active_dead_percent = 80},
    {"what is dead is in the only, active segment", "!", NONE,
     MERGE_WAIT_ACTIVE, .facts = {{0}}, .amplification = 1.5, .active_mib = 200,
     .active_dead_percent = 80},
    {"a small store may be as it likes while it is written to", "", NONE,
     MERGE_WAIT_REST, .facts = {{4, 100, 9, ""}}, .amplification = 1.5,
     .active_mib = 4, .active_dead_percent = 100},
    {"until it is at rest", "!", NONE, MERGE_WAIT_ACTIVE,
     .facts = {{4, 100, 9, ""}}, .amplification = 1.5, .active_mib = 4,
     .active_dead_percent = 100, .idle_s = 10},
    {"one that needs no merge waits for nothing", "", NONE,
     MERGE_WAIT_NOTHING_TO_GAIN, .facts = {{4, 100, 9, ""}},
     .amplification = 1.5, .active_mib = 4, .active_dead_percent = 10},
    {"half of a small segment", "", MERGE_REASON_AMPLIFICATION, MERGE_WAIT_REST,
     .facts = {{4, 45, 9, ""}}, .amplification = 1.5, .idle_s = 9},
    {"at rest", "1", MERGE_REASON_AMPLIFICATION, GO, .facts = {{4, 45, 9, ""}},
     .amplification = 1.5, .idle_s = 10},
    {"at rest without a limit", "", NONE, MERGE_WAIT_BELOW_TRIGGERS,
     .facts = {{4, 45, 9, ""}}, .idle_s = 10},
    {"at rest the first minute holds", "", MERGE_REASON_AMPLIFICATION,
     MERGE_WAIT_FIRST_MINUTE, .facts = {{4, 45, 9, ""}}, .amplification = 1.5,
     .idle_s = 10, .open_s = 59},
    {"and jitter", "", NONE, MERGE_WAIT_FIRST_MINUTE, .facts = {{0}},
     .amplification = 1.5, .active_mib = 4, .active_dead_percent = 100,
     .idle_s = 10, .open_s = 60, .jitter_s = 1},
    {"and the window", "", MERGE_REASON_AMPLIFICATION, MERGE_WAIT_WINDOW,
     .facts = {{4, 45, 9, ""}}, .amplification = 1.5, .idle_s = 10,
     .is_outside = true},
    {"what holds it up longer is told", "", MERGE_REASON_AMPLIFICATION,
     MERGE_WAIT_WINDOW, .facts = {{4, 45, 9, ""}}, .amplification = 1.5,
     .is_outside = true},
    {"at rest the active segment is as good as sealed", "!", NONE,
     MERGE_WAIT_ACTIVE, .facts = {{256, 100, 9, ""}}, .amplification = 1.5,
     .active_mib = 30, .active_dead_percent = 60, .idle_s = 10},
    {"it may fill up while it is written to", "", NONE, MERGE_WAIT_REST,
     .facts = {{256, 100, 9, ""}}, .amplification = 1.5, .active_mib = 30,
     .active_dead_percent = 60},
    {"nor does a filler that is left hide it", "", NONE, MERGE_WAIT_REST,
     .facts = {{256, 100, 9, ""}, {100, 100, 9, ""}}, .amplification = 1.5,
     .active_mib = 30, .active_dead_percent = 60, .max_segments = 1},
    {"below the triggers of a sealed one it stays", "", NONE,
     MERGE_WAIT_NOTHING_TO_GAIN, .facts = {{256, 100, 9, ""}},
     .amplification = 1.5, .active_mib = 30, .active_dead_percent = 59,
     .idle_s = 10},
    {"nor does an old one at rest, if enough of it is dead", "!", NONE,
     MERGE_WAIT_ACTIVE, .facts = {{0}}, .amplification = 1.5, .active_mib = 30,
     .active_dead_percent = 5, .active_age_s = 60, .old_s = 60, .idle_s = 60},
    {"an old one of which little is dead stays", "", NONE,
     MERGE_WAIT_NO_SEGMENTS, .facts = {{0}}, .amplification = 1.5,
     .active_mib = 30, .active_dead_percent = 4, .active_age_s = 60,
     .old_s = 60, .idle_s = 60},
    {"one that is not old stays", "", NONE, MERGE_WAIT_NO_SEGMENTS,
     .facts = {{0}}, .amplification = 1.5, .active_mib = 30,
     .active_dead_percent = 20, .active_age_s = 59, .old_s = 60, .idle_s = 59},
    {"all at rest: the active segment was sealed by who asked", "1",
     MERGE_REASON_ALL, GO, .facts = {{100, 20, 9, ""}}, .active_mib = 30,
     .active_dead_percent = 100, .all_below = 2, .idle_s = 10},
    {"merge first, then seal", "1!", MERGE_REASON_AMPLIFICATION, GO,
     .facts = {{256, 42, 9, ""}}, .amplification = 1.2, .active_mib = 250,
     .active_dead_percent = 80},

    {"outside the window", "", MERGE_REASON_FRAGMENTATION, MERGE_WAIT_WINDOW,
     .facts = {{256, 10, 9, ""}}, .is_outside = true},
    {"amplification does not open a window", "", MERGE_REASON_AMPLIFICATION,
     MERGE_WAIT_WINDOW, .facts = {{256, 45, 9, ""}}, .amplification = 1.5,
     .is_outside = true},
    {"tombstones that may stay need room as well", "", NONE, MERGE_WAIT_NO_ROOM,
     .facts = {{256, 45, 9, ""}, {256, 0, 9, "t"}}, .free_mib = 20},
    {"a little, if it is there", "2", MERGE_REASON_DISK_SPACE, GO,
     .facts = {{256, 45, 9, ""}, {256, 0, 9, "t"}}, .free_mib = 100},
    {"those that hide nothing need none", "1", MERGE_REASON_DISK_SPACE, GO,
     .facts = {{256, 0, 9, "t"}, {256, 45, 9, ""}}, .free_mib = 20},
    {"low disk space does, for space only", "1 2", MERGE_REASON_DISK_SPACE, GO,
     .facts =
         {{256, 10, 9, ""}, {256, 80, 9, ""}, {1, 100, 9, ""}, {1, 100, 9, ""}},
     .free_mib = 700, .is_outside = true, .small_count = 2},
    {"low disk space: until it is not", "2", MERGE_REASON_DISK_SPACE, GO,
     .facts = {{256, 90, 9, ""}, {256, 45, 9, ""}}, .free_mib = 1000},
    {"low disk space: least copied first, whatever the age", "2",
     MERGE_REASON_DISK_SPACE, GO,
     .facts = {{256, 70, 9999, ""}, {256, 50, 9, ""}}, .free_mib = 1000},
    {"no room for the output", "", NONE, MERGE_WAIT_NO_ROOM,
     .facts = {{256, 50, 9, ""}}, .free_mib = 200},
    {"no room, but the dead need none", "2", MERGE_REASON_DISK_SPACE, GO,
     .facts = {{256, 50, 9, ""}, {256, 0, 9, ""}}, .free_mib = 1},
    {"in the first minute", "", MERGE_REASON_FRAGMENTATION,
     MERGE_WAIT_FIRST_MINUTE, .facts = {{256, 10, 9, ""}}, .open_s = 59},
    {"after it", "1", MERGE_REASON_FRAGMENTATION, GO,
     .facts = {{256, 10, 9, ""}}, .open_s = 60},
    {"jitter makes it longer", "", MERGE_REASON_FRAGMENTATION,
     MERGE_WAIT_FIRST_MINUTE, .facts = {{256, 10, 9, ""}}, .open_s = 69,
     .jitter_s = 10},
    {"in the first minute the limit alone does not hurry", "",
     MERGE_REASON_AMPLIFICATION, MERGE_WAIT_FIRST_MINUTE,
     .facts = {{256, 55, 9, ""}}, .open_s = 1, .amplification = 1.5},
    {"twice the dead bytes that are allowed do", "1",
     MERGE_REASON_AMPLIFICATION, GO, .facts = {{256, 45, 9, ""}}, .open_s = 1,
     .amplification = 1.5},
    {"so does low disk space", "1", MERGE_REASON_DISK_SPACE, GO,
     .facts = {{256, 45, 9, ""}}, .open_s = 1, .free_mib = 900},

    {"a damaged one is not touched", "2", MERGE_REASON_FRAGMENTATION, GO,
     .facts = {{256, 10, 9, "q"}, {256, 20, 9, ""}}},
    {"only damaged ones", "", NONE, MERGE_WAIT_QUARANTINED,
     .facts = {{256, 10, 9, "q"}, {256, 100, 9, ""}}},

    {"a small file alone", "", NONE, MERGE_WAIT_NOTHING_TO_GAIN,
     .facts = {{1, 100, 9, ""}, {256, 100, 9, ""}}},
    {"three small files wait for a fourth", "", NONE,
     MERGE_WAIT_NOTHING_TO_GAIN,
     .facts = {{1, 100, 9, ""}, {2, 100, 9, ""}, {3, 100, 9, ""}}},
    {"four are put together", "1 2 3 4", MERGE_REASON_SMALL, GO,
     .facts = {{1, 100, 9, ""},
               {2, 100, 9, ""},
               {3, 100, 9, ""},
               {4, 100, 9, ""},
               {10, 100, 9, ""}}},
    {"one larger than the others waits for them to grow", "2 3 4 5",
     MERGE_REASON_SMALL, GO,
     .facts = {{9, 100, 9, ""},
               {1, 100, 9, ""},
               {1, 100, 9, ""},
               {1, 100, 9, ""},
               {1, 100, 9, ""}}},
    {"two, if two are enough", "1 2", MERGE_REASON_SMALL, GO,
     .facts = {{1, 100, 9, ""}, {1, 100, 9, ""}}, .small_count = 2},
    {"small files come after what frees space", "5 1 2 3 4",
     MERGE_REASON_FRAGMENTATION, GO,
     .facts = {{1, 100, 9, ""},
               {1, 100, 9, ""},
               {1, 100, 9, ""},
               {1, 100, 9, ""},
               {256, 10, 9, ""}}},
    {"one small file left over is given back", "5", MERGE_REASON_FRAGMENTATION,
     GO,
     .facts = {{2, 100, 9, ""},
               {2, 100, 9, ""},
               {2, 100, 9, ""},
               {2, 100, 9, ""},
               {256, 10, 9, ""}},
     .max_merge_mib = 259},
    {"as many segments as allowed", "", NONE, MERGE_WAIT_NOTHING_TO_GAIN,
     .facts = {{100, 100, 9, ""}, {90, 100, 9, ""}}, .max_segments = 2},
    {"one too many: the smaller ones", "3 2", MERGE_REASON_SEGMENT_COUNT, GO,
     .facts = {{256, 100, 9, ""},
               {90, 100, 9, ""},
               {80, 100, 9, ""},
               {256, 100, 9, ""}},
     .max_segments = 3},
    {"one too many, all of them large", "", NONE, MERGE_WAIT_NOTHING_TO_GAIN,
     .facts = {{256, 100, 9, ""}, {200, 100, 9, ""}, {100, 100, 9, ""}},
     .max_segments = 2},
    {"one too many, and a little to gain in each", "", NONE, MERGE_WAIT_FULL,
     .facts = {{256, 80, 9, ""}, {200, 80, 9, ""}, {256, 80, 9, ""}},
     .max_segments = 2},

    {"cancelled: what is above the bound waits", "", MERGE_REASON_AMPLIFICATION,
     MERGE_WAIT_CANCELLED,
     .facts = {{256, 45, 9, ""}, {256, 75, 9, ""}, {256, 76, 9, ""}},
     .amplification = 1.5, .is_cancelled = true},
    {"but not far above it", "1 2", MERGE_REASON_AMPLIFICATION, GO,
     .facts = {{256, 10, 9, ""}, {256, 60, 9, ""}, {256, 60, 9, ""}},
     .amplification = 1.5, .is_cancelled = true},
    {"nor if the disk is low", "1", MERGE_REASON_DISK_SPACE, GO,
     .facts = {{256, 45, 9, ""}, {256, 75, 9, ""}, {256, 76, 9, ""}},
     .amplification = 1.5, .free_mib = 700, .is_cancelled = true},
    {"a trigger waits", "", MERGE_REASON_FRAGMENTATION, MERGE_WAIT_CANCELLED,
     .facts = {{256, 10, 9, ""}}, .is_cancelled = true},

    {"an old one that is worth it", "2", MERGE_REASON_AGE, GO,
     .facts = {{256, 90, 99, ""}, {256, 90, 100, ""}, {256, 96, 999, ""}},
     .old_s = 100},
    {"age is no reason to merge what lives", "", NONE,
     MERGE_WAIT_NOTHING_TO_GAIN, .facts = {{256, 100, 999, ""}}, .old_s = 100},

    {"wholly expired", "1", MERGE_REASON_EXPIRED, GO,
     .facts = {{256, 100, 9, "e"}}},
    {"wholly expired takes nobody along", "1", MERGE_REASON_EXPIRED, GO,
     .facts = {{256, 80, 9, "e"}, {256, 50, 9, ""}}},
    {"the clock jumped", "", NONE, MERGE_WAIT_CLOCK,
     .facts = {{256, 100, 9, "e"}}, .clock_disagrees = true},
    {"expired by age", "1", MERGE_REASON_EXPIRED, GO,
     .facts = {{256, 100, 101, ""}, {256, 100, 100, ""}}, .expiry_s = 100},
    {"grace", "1", MERGE_REASON_EXPIRED, GO,
     .facts = {{256, 100, 111, ""}, {256, 100, 110, ""}}, .expiry_s = 100,
     .grace_s = 10},
    {"grace for times of their own", "", NONE, MERGE_WAIT_NOTHING_TO_GAIN,
     .facts = {{256, 100, 9, "e"}}, .grace_s = 10},
    {"what has expired is dead", "1", MERGE_REASON_FRAGMENTATION, GO,
     .facts = {{256, 79, 9, "h"}, {256, 80, 9, ""}}},
    {"but not if the clock jumped", "", NONE, MERGE_WAIT_CLOCK,
     .facts = {{256, 79, 9, "h"}, {256, 100, 9, ""}}, .clock_disagrees = true},
    {"it counts as space", "2", MERGE_REASON_AMPLIFICATION, GO,
     .facts = {{256, 100, 9, ""}, {256, 100, 9, "h"}}, .amplification = 1.3},
    {"it goes from an output whose tombstones stay", "2",
     MERGE_REASON_DEAD_BYTES, GO,
     .facts = {{1024, 60, 9, ""}, {1200, 90, 9, "oth"}}},
    {"expired before, only kept for what it hides", "", NONE,
     MERGE_WAIT_BELOW_TRIGGERS, .facts = {{256, 60, 9, ""}, {90, 0, 9, "oet"}}},

    {"tombstones of puts count as dead once", "2 1", MERGE_REASON_FRAGMENTATION,
     GO, .facts = {{100, 0, 9, "t"}, {100, 0, 19, "t"}}},
    {"an output of needed tombstones is left", "1", MERGE_REASON_FRAGMENTATION,
     GO, .facts = {{256, 20, 9, ""}, {100, 0, 9, "ot"}}},
    {"no older dead put: none is needed", "2", MERGE_REASON_FRAGMENTATION, GO,
     .facts = {{256, 100, 9, ""}, {100, 0, 9, "ot"}}},
    {"dead puts that are newer hide nothing", "1", MERGE_REASON_FRAGMENTATION,
     GO, .facts = {{100, 0, 9, "ot"}, {256, 70, 9, ""}}},
    {"its own dead puts do not keep it", "1", MERGE_REASON_FRAGMENTATION, GO,
     .facts = {{100, 10, 9, "ow"}, {256, 100, 9, ""}}},
    {"one of the very put that it took the place of is needed", "", NONE,
     MERGE_WAIT_QUARANTINED, .facts = {{256, 50, 9, "q"}, {100, 0, 9, "otws"}}},
    {"beside what nobody knows all are needed", "", NONE,
     MERGE_WAIT_NOTHING_TO_GAIN,
     .facts = {{256, 100, 9, "qu"}, {100, 0, 9, "ot"}}},
    {"fewer older dead puts than tombstones", "2", MERGE_REASON_FRAGMENTATION,
     GO, .facts = {{100, 70, 9, ""}, {100, 0, 9, "ot"}}},
    {"nearly as many older dead puts as tombstones", "", NONE,
     MERGE_WAIT_BELOW_TRIGGERS, .facts = {{196, 50, 9, ""}, {100, 0, 9, "ot"}}},
    {"needed tombstones do not count for amplification either", "1",
     MERGE_REASON_AMPLIFICATION, GO,
     .facts = {{256, 45, 9, ""}, {100, 0, 99999, "ot"}}, .amplification = 1.5,
     .max_merge_mib = 256},

    {"all: whatever has anything to gain, oldest first", "1 3",
     MERGE_REASON_ALL, GO,
     .facts = {{100, 99, 9, ""}, {100, 100, 9, ""}, {100, 20, 9999, ""}},
     .all_below = 100, .is_outside = true, .open_s = 1},
    {"all: no outputs of its own", "1", MERGE_REASON_ALL, GO,
     .facts = {{256, 99, 9, ""}, {100, 50, 9, "o"}}, .all_below = 2},
    {"all: nothing left", "", NONE, MERGE_WAIT_NOTHING_TO_GAIN,
     .facts = {{256, 100, 9, ""}, {100, 50, 9, "o"}}, .all_below = 2},
    {"all: small ones go together", "1 2", MERGE_REASON_SMALL, GO,
     .facts = {{9, 100, 9, ""}, {1, 100, 9, ""}}, .all_below = 100},
    {"all: a small one alone does not", "", NONE, MERGE_WAIT_NOTHING_TO_GAIN,
     .facts = {{9, 100, 9, ""}, {256, 100, 9, ""}}, .all_below = 100},

    {"all: a small one goes with what becomes small", "2 1", MERGE_REASON_ALL,
     GO, .facts = {{9, 100, 9, ""}, {100, 5, 9, ""}}, .all_below = 100},
    {"all: and not with what remains large", "2", MERGE_REASON_ALL, GO,
     .facts = {{9, 100, 9, ""}, {100, 50, 9, ""}}, .all_below = 100},
    {"all: nothing is copied for the sake of marks", "2", MERGE_REASON_ALL, GO,
     .facts = {{256, 70, 9, "m"}, {256, 70, 9, ""}, {256, 100, 9, ""}},
     .all_below = 100},
    {"all: only marks", "", NONE, MERGE_WAIT_NOTHING_TO_GAIN,
     .facts = {{256, 70, 9, "m"}}, .all_below = 100},
    {"all: a file of marks goes", "1", MERGE_REASON_ALL, GO,
     .facts = {{256, 0, 9, "m"}}, .all_below = 100},
    {"marks are dead bytes like others for the policy", "1",
     MERGE_REASON_FRAGMENTATION, GO, .facts = {{256, 30, 9, "m"}}},
    {"all: what may have expired is read", "1", MERGE_REASON_ALL, GO,
     .facts = {{256, 100, 9, "x"}}, .all_below = 100},
    {"all: not where nothing lives that could expire", "", NONE,
     MERGE_WAIT_QUARANTINED, .facts = {{256, 50, 9, "q"}, {100, 0, 9, "oxt"}},
     .all_below = 100},

    {"all: no room for the oldest, but the dead need none", "2",
     MERGE_REASON_ALL, GO, .facts = {{256, 50, 9, ""}, {256, 0, 9, ""}},
     .free_mib = 1, .all_below = 100},

    {"what came after the call neither triggers nor goes", "", NONE,
     MERGE_WAIT_BELOW_TRIGGERS, .facts = {{256, 60, 9, ""}, {256, 10, 9, ""}},
     .below = 2},
    {"nor is it taken along", "1", MERGE_REASON_FRAGMENTATION, GO,
     .facts = {{256, 10, 9, ""}, {256, 10, 9, ""}}, .below = 2},
    {"nor for space", "1", MERGE_REASON_AMPLIFICATION, GO,
     .facts = {{256, 80, 9, ""}, {256, 50, 9, ""}}, .amplification = 1.1,
     .below = 2},
    {"nor put together", "", NONE, MERGE_WAIT_NOTHING_TO_GAIN,
     .facts =
         {{1, 100, 9, ""}, {1, 100, 9, ""}, {1, 100, 9, ""}, {1, 100, 9, ""}},
     .below = 4},

    {"not more than one GiB is read at a time", "1 2 3 4",
     MERGE_REASON_FRAGMENTATION, GO,
     .facts = {{256, 1, 99, ""},
               {256, 1, 98, ""},
               {256, 1, 97, ""},
               {256, 1, 96, ""},
               {256, 1, 95, ""}}},
    {"nor if all is asked for", "1 2 3 4", MERGE_REASON_ALL, GO,
     .facts = {{256, 1, 9, ""},
               {256, 1, 9, ""},
               {256, 1, 9, ""},
               {256, 1, 9, ""},
               {256, 1, 9, ""}},
     .all_below = 100},
    {"what costs least for what it frees goes first", "3 1",
     MERGE_REASON_FRAGMENTATION, GO,
     .facts = {{100, 20, 9, ""}, {100, 30, 9, ""}, {100, 1, 9, ""}},
     .step_mib = 200, .segment_mib = 128},
    {"a slow merge reads less, but a file's worth", "1 2",
     MERGE_REASON_FRAGMENTATION, GO,
     .facts = {{100, 1, 99, ""}, {100, 1, 98, ""}, {100, 1, 97, ""}},
     .step_mib = 1},

    {"max_merge_size", "1 2", MERGE_REASON_FRAGMENTATION, GO,
     .facts = {{100, 10, 99, ""}, {100, 10, 98, ""}, {100, 10, 97, ""}},
     .max_merge_mib = 299},
    {"one may always be merged", "1", MERGE_REASON_FRAGMENTATION, GO,
     .facts = {{100, 10, 99, ""}, {100, 10, 98, ""}}, .max_merge_mib = 1},
    {"not more than one segment is copied at a time", "1 2",
     MERGE_REASON_FRAGMENTATION, GO,
     .facts = {{256, 40, 99, ""}, {256, 40, 98, ""}, {256, 40, 97, ""}}},
    {"the wholly dead cost nothing", "1 2 3 4", MERGE_REASON_FRAGMENTATION, GO,
     .facts =
         {{256, 0, 9, ""}, {256, 0, 8, ""}, {256, 0, 7, ""}, {256, 0, 6, ""}}},
    {"too little to gain from any of many", "", NONE,
     MERGE_WAIT_NOTHING_TO_GAIN,
     .facts = {{256, 96, 9, ""}, {256, 97, 9, ""}, {256, 96, 9, ""}},
     .amplification = 1.01},
};

static bool has(const policy_fact *fact, char flag)
{
    return strchr(fact->flags, flag) != NULL;
}

static merge_segment make_segment(const policy_fact *fact, size_t index)
{
    uint64_t records = MIB(fact->mib) / RECORD;
    uint64_t live_records = records * fact->live_percent / 100;
    merge_segment segment = {
        .id = index + 1,
        .bytes = SEGMENT_HEADER_SIZE + records * RECORD,
        .live_bytes = live_records * RECORD,
        .expired_bytes = has(fact, 'h') ? live_records / 2 * RECORD : 0,
        .records = has(fact, 'm') ? live_records : records,
        .live_records = live_records,
        .tombstones = has(fact, 't') ? records - live_records : 0,
        .may_expire = has(fact, 'x'),
        .first_sequence = has(fact, 'w') ? 1 : (index + 1) * 10000000,
        .last_sequence =
            has(fact, 's') ? 10000000 : (index + 1) * 10000000 + records,
        .age_ms = (uint64_t)fact->age_s * 1000,
        .expired_ms = has(fact, 'e') ? 1 : 0,
        .is_output = has(fact, 'o'),
        .is_quarantined = has(fact, 'q'),
        .is_obscure = has(fact, 'u')};

    return segment;
}

/* A row as arguments of the policy. */
typedef struct question {
    merge_settings settings;
    merge_moment moment;
    merge_segment segments[SEGMENTS];
    size_t count;
} question;

static question make_question(const policy_row *row)
{
    question q = {.settings = merge_settings_default(
                      MIB(row->segment_mib > 0 ? row->segment_mib : 256)),
                  .moment = {.is_in_window = !row->is_outside,
                             .is_cancelled = row->is_cancelled,
                             .clock_disagrees = row->clock_disagrees,
                             .free_disk_bytes = UINT64_MAX,
                             .open_ms = UINT64_MAX,
                             .jitter_ms = (uint64_t)row->jitter_s * 1000,
                             .all_below_id = row->all_below,
                             .below_id = row->below}};

    q.settings.max_space_amplification = row->amplification;
    q.settings.age_trigger_ms = (uint64_t)row->old_s * 1000;
    q.settings.expiry_ms = (uint64_t)row->expiry_s * 1000;
    q.settings.expiry_grace_ms = (uint64_t)row->grace_s * 1000;
    if (row->max_merge_mib > 0) {
        q.settings.max_merge_size =
            MIB(row->max_merge_mib) + SEGMENTS * SEGMENT_HEADER_SIZE;
    }
    q.settings.step_bytes =
        row->step_mib > 0 ? MIB(row->step_mib) : merge_pace_step_bytes(0);
    q.settings.max_segments = row->max_segments;
    if (row->small_count > 0) {
        q.settings.small_file_count = row->small_count;
    }
    if (row->free_mib > 0) {
        q.moment.free_disk_bytes = MIB(row->free_mib);
    }
    q.moment.idle_ms = (uint64_t)row->idle_s * 1000;
    q.moment.active_age_ms = (uint64_t)row->active_age_s * 1000;
    if (row->open_s > 0) {
        q.moment.open_ms = (uint64_t)row->open_s * 1000;
    }
    q.moment.total_bytes = MIB(row->active_mib);
    q.moment.live_bytes =
        MIB(row->active_mib) / 100 * (100 - row->active_dead_percent);
    while (q.count < SEGMENTS && row->facts[q.count].mib > 0) {
        q.segments[q.count] = make_segment(&row->facts[q.count], q.count);
        q.moment.total_bytes += q.segments[q.count].bytes;
        q.moment.live_bytes += q.segments[q.count].live_bytes;
        q.moment.expired_bytes += q.segments[q.count].expired_bytes;
        q.count++;
    }
    return q;
}

static merge_plan ask(const question *q, merge_choice choices[SEGMENTS])
{
    merge_plan plan;

    memset(&plan, 0xa5, sizeof(plan));
    memset(choices, 0xa5, SEGMENTS * sizeof(*choices));
    merge_policy_choose(&q->settings, &q->moment, q->segments, q->count,
                        choices, &plan);
    return plan;
}

/* The plan as text, like "1 3!". */
static void describe(const merge_plan *plan, const merge_choice *choices,
                     char text[64])
{
    size_t used = 0;

    text[0] = '\0';
    for (size_t i = 0; i < plan->count; i++) {
        used += (size_t)snprintf(text + used, 64 - used, "%s%u",
                                 i == 0 ? "" : " ", (unsigned)choices[i].id);
    }
    (void)snprintf(text + used, 64 - used, "%s", plan->seal_active ? "!" : "");
}

static void test_choices(void **state)
{
    size_t failed = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        question q = make_question(&rows[i]);
        merge_choice choices[SEGMENTS];
        merge_plan plan = ask(&q, choices);
        char text[64];

        describe(&plan, choices, text);
        if (strcmp(text, rows[i].chosen) != 0 ||
            plan.reason != rows[i].reason || plan.wait != rows[i].wait) {
            failed++;
            print_message("%s: \"%s\", %s, %s; expected \"%s\", %s, %s\n",
                          rows[i].name, text, merge_reason_text(plan.reason),
                          merge_wait_text(plan.wait), rows[i].chosen,
                          merge_reason_text(rows[i].reason),
                          merge_wait_text(rows[i].wait));
        }
    }
    assert_int_equal(failed, 0);
}

static void test_order_of_facts_does_not_matter(void **state)
{
    test_random random = test_random_make(test_seed(), 1);

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) * 20; i++) {
        const policy_row *row = &rows[i % (sizeof(rows) / sizeof(rows[0]))];
        question q = make_question(row);
        merge_choice choices[SEGMENTS];
        merge_plan plan;
        char text[64];

        for (size_t left = q.count; left > 1; left--) {
            size_t other = test_random_next(&random, left);
            merge_segment moved = q.segments[other];

            q.segments[other] = q.segments[left - 1];
            q.segments[left - 1] = moved;
        }
        plan = ask(&q, choices);
        describe(&plan, choices, text);
        assert_string_equal(text, row->chosen);
        for (size_t c = 0; c < plan.count; c++) {
            assert_int_equal(q.segments[choices[c].index].id, choices[c].id);
        }
    }
}

static void test_plans_add_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        question q = make_question(&rows[i]);
        merge_choice choices[SEGMENTS];
        merge_plan plan = ask(&q, choices);
        merge_reason reason = MERGE_REASON_SMALL;
        uint64_t read_bytes = 0;
        uint64_t unread_bytes = 0;
        uint64_t gain_bytes = 0;

        for (size_t c = 0; c < plan.count; c++) {
            read_bytes += q.segments[choices[c].index].bytes;
            unread_bytes += choices[c].reason == MERGE_REASON_EXPIRED
                                ? q.segments[choices[c].index].bytes
                                : 0;
            gain_bytes += choices[c].gain_bytes;
            assert_int_not_equal(choices[c].reason, MERGE_REASON_NONE);
            reason = choices[c].reason < reason ? choices[c].reason : reason;
        }
        assert_int_equal(plan.read_bytes + unread_bytes, read_bytes);
        assert_int_equal(plan.freed_bytes, gain_bytes);
        assert_int_equal(plan.write_bytes + plan.count * SEGMENT_HEADER_SIZE +
                             plan.freed_bytes,
                         read_bytes);
        assert_int_equal(plan.wait == MERGE_WAIT_NONE, plan.count > 0);
        assert_int_equal(plan.wait == MERGE_WAIT_FIRST_MINUTE,
                         plan.wait_ms > 0);
        if (plan.count > 0) {
            assert_int_equal(plan.reason, reason);
        }
        assert_true(plan.count + plan.left <= q.count);
    }
}

/* One that is read beside one that is not; what may be read in a step counts
 * both. */
static void test_expired_segments_are_not_read(void **state)
{
    const policy_row row = {.facts = {{100, 100, 101, ""}, {100, 30, 1, ""}},
                            .expiry_s = 100};
    question q = make_question(&row);
    merge_choice choices[SEGMENTS];
    merge_plan plan = ask(&q, choices);

    (void)state;
    assert_int_equal(plan.count, 2);
    assert_int_equal(plan.read_bytes, q.segments[1].bytes);
    q.settings.max_merge_size = MIB(150);
    assert_int_equal(ask(&q, choices).count, 1);
    q.settings.max_merge_size = 0;
    /* Beside what nobody knows every tombstone stays: what is to become one is
     * read. */
    q.segments[1].is_obscure = true;
    plan = ask(&q, choices);
    assert_int_equal(plan.count, 2);
    assert_int_equal(plan.read_bytes,
                     q.segments[0].bytes + q.segments[1].bytes);
}

static void test_a_store_of_64_kib_is_never_cleaned(void **state)
{
    const policy_row row = {.facts = {{0}}, .amplification = 1.5, .idle_s = 60};
    question q = make_question(&row);
    merge_choice choices[SEGMENTS];

    (void)state;
    q.moment.total_bytes = 64 << 10;
    assert_false(ask(&q, choices).seal_active);
    q.moment.total_bytes++;
    assert_true(ask(&q, choices).seal_active);
}

/* However dead: a store may be opened each second. */
static void test_a_small_store_at_rest_is_not_urgent(void **state)
{
    const policy_row row = {.facts = {{9, 1, 9, ""}},
                            .amplification = 1.5,
                            .open_s = 1,
                            .idle_s = 60};
    question q = make_question(&row);
    merge_choice choices[SEGMENTS];
    merge_plan plan = ask(&q, choices);

    (void)state;
    assert_int_equal(plan.wait, MERGE_WAIT_FIRST_MINUTE);
}

static void test_first_minute_is_told_to_the_millisecond(void **state)
{
    const policy_row early = {
        .facts = {{256, 10, 9, ""}}, .open_s = 61, .jitter_s = 7};
    question q = make_question(&early);
    merge_choice choices[SEGMENTS];
    merge_plan plan = ask(&q, choices);

    (void)state;
    assert_int_equal(plan.wait, MERGE_WAIT_FIRST_MINUTE);
    assert_int_equal(plan.wait_ms, 6000);
    assert_int_equal(plan.left, 1);
    q.moment.open_ms += plan.wait_ms;
    assert_int_equal(ask(&q, choices).count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choices),
        cmocka_unit_test(test_order_of_facts_does_not_matter),
        cmocka_unit_test(test_plans_add_up),
        cmocka_unit_test(test_expired_segments_are_not_read),
        cmocka_unit_test(test_a_store_of_64_kib_is_never_cleaned),
        cmocka_unit_test(test_a_small_store_at_rest_is_not_urgent),
        cmocka_unit_test(test_first_minute_is_told_to_the_millisecond),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
