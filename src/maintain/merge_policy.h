/*
 * Which segments to merge next, why, and if none, why not. A pure function of
 * what is known about the segments, the settings and the moment: no files, no
 * clock, no memory of earlier calls. It is meant to be asked again after each
 * merge and each new segment; one plan is a small bite, not all that is due.
 *
 * What a segment would free is in merge_gain.h, which triggers and thresholds
 * there are in merge_qualify.c, how much is taken at a time in merge_policy.c.
 */
#ifndef CASKADE_MERGE_POLICY_H
#define CASKADE_MERGE_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Facts of one sealed segment. */
typedef struct merge_segment {
    uint64_t id;    /* of its file; grows with each file made, never reused */
    uint64_t bytes; /* of the file, header included */
    uint64_t live_bytes;     /* of the records that the index names */
    uint64_t expired_bytes;  /* of these, with a time that is over since the
                                grace or longer: at least so many */
    uint64_t records;        /* marks not counted */
    uint64_t live_records;   /* of these, those that the index names */
    uint64_t tombstones;     /* of these, those that only hide older records;
                                kept expired records are tombstones, too */
    uint64_t first_sequence; /* of its records */
    uint64_t last_sequence;
    uint64_t age_ms;     /* since its newest record was written */
    uint64_t expired_ms; /* since all of its records have expired, by times of
                            their own; 0: some have not */
    bool may_expire;     /* some of its records may have expired: known when
                            they are read */
    bool is_output;      /* made by a merge: its tombstones were needed then */
    bool is_quarantined; /* damaged: never chosen */
    bool is_obscure;     /* what it holds is not known as a whole: it may need
                            any tombstone */
} merge_segment;

/* Names and defaults are Bitcask's where it has the setting: of the first seven
 * but for the age, and of the two about expiry. 0 turns a trigger or a limit
 * off, unless a comment says otherwise. */
typedef struct merge_settings {
    uint32_t frag_merge_trigger;       /* percent of one segment */
    uint64_t dead_bytes_merge_trigger; /* bytes of one segment */
    uint64_t age_trigger_ms;           /* since the newest record of one */
    uint32_t frag_threshold;           /* percent; thresholds say what else is
                                          merged then, unless amplification
                                          is bounded */
    uint64_t dead_bytes_threshold;     /* bytes */
    uint64_t small_file_threshold;     /* bytes */
    uint64_t max_merge_size;           /* bytes of input of one merge; one
                                          segment may always be merged */
    uint64_t step_bytes;               /* the same, so that little is lost if a
                                          merge is stopped; as large as a file
                                          at least */
    uint64_t expiry_ms;                /* age at which all records expire */
    uint64_t expiry_grace_ms;          /* expired segments may stay so long */
    double max_space_amplification;    /* bytes of the store / live bytes */
    uint32_t small_file_count;         /* small files to wait for, at least 2 */
    uint32_t max_segments;
    uint32_t min_gain_percent;  /* of what is read a merge must free so much */
    uint64_t segment_max_bytes; /* of the store's files; never 0 */
    uint64_t segment_bytes;     /* of those made by now; never 0, at most
                                   segment_max_bytes */
} merge_settings;

/* A store that was not written to for so long is at rest: it is worth cleaning
 * even if it is small. One that is written to would be merged again and again
 * for a little space. */
enum { MERGE_REST_MS = 10000 };

/* Facts of the moment. */
typedef struct merge_moment {
    uint64_t total_bytes;     /* of all segments that count: those given, the
                                 active one, quarantined ones */
    uint64_t live_bytes;      /* of the same */
    uint64_t expired_bytes;   /* of these, as of a segment */
    uint64_t free_disk_bytes; /* UINT64_MAX: not known */
    uint64_t lent_bytes;      /* besides, for copies only */
    uint64_t open_ms;         /* since the store was opened; UINT64_MAX for a
                                 merge that somebody asked for */
    uint64_t jitter_ms; /* random, once per open: stores of one machine must
                           not begin together */
    uint64_t idle_ms;   /* since anything was written to the store;
                           UINT64_MAX for a merge that somebody asked for */
    /* Of the active segment, as of those given. */
    uint64_t active_age_ms;
    uint64_t all_below_id; /* not 0: everything is to be merged that has a
                              smaller id, whatever the triggers, the window
                              and the time since the open. Outputs have larger
                              ids, so asking again ends. */
    uint64_t below_id;     /* not 0: only what has a smaller id is chosen, for
                              the same end */
    bool is_in_window;     /* merge_window_contains() */
    bool is_cancelled;     /* somebody did so a moment ago, who may not want
                              what can wait */
    bool clock_disagrees;  /* the wall clock jumped: nothing has expired */
} merge_moment;

/* Why a segment is merged; the most urgent first. */
#define MERGE_REASON_LIST(X)                                                   \
    X(NONE, "nothing is merged")                                               \
    X(ALL, "everything was asked for")                                         \
    X(DISK_SPACE, "disk space is low")                                         \
    X(EXPIRED, "all records have expired")                                     \
    X(AMPLIFICATION, "the store is above max_space_amplification")             \
    X(FRAGMENTATION, "a segment is above frag_merge_trigger")                  \
    X(DEAD_BYTES, "a segment is above dead_bytes_merge_trigger")               \
    X(AGE, "a segment is older than age_merge_trigger")                        \
    X(SEGMENT_COUNT, "the store has more than max_segments")                   \
    X(SMALL, "small files are put together")

typedef enum merge_reason {
#define MERGE_REASON_ENUM(name, text) MERGE_REASON_##name,
    MERGE_REASON_LIST(MERGE_REASON_ENUM)
#undef MERGE_REASON_ENUM
} merge_reason;

/* Why nothing is merged. */
#define MERGE_WAIT_LIST(X)                                                     \
    X(NONE, "a merge is due")                                                  \
    X(NO_SEGMENTS, "there is no sealed segment")                               \
    X(NOTHING_TO_GAIN, "a merge would free next to nothing")                   \
    X(BELOW_TRIGGERS, "no trigger is reached")                                 \
    X(WINDOW, "outside merge_window")                                          \
    X(FIRST_MINUTE, "the store was opened just now")                           \
    X(QUARANTINED, "what could be freed is in damaged segments")               \
    X(NO_ROOM, "no room on the disk for the output")                           \
    X(CLOCK, "the wall clock jumped, or it is too early to trust it")          \
    X(ACTIVE, "what could be freed is in the active segment")                  \
    X(FAILED, "the last one failed; it is tried again later")                  \
    X(CANCELLED, "it was cancelled less than a minute ago")                    \
    X(REST, "it is merged when nothing was written for 10 s")                  \
    X(FULL, "above max_segments, but all are too full to be joined")

typedef enum merge_wait {
#define MERGE_WAIT_ENUM(name, text) MERGE_WAIT_##name,
    MERGE_WAIT_LIST(MERGE_WAIT_ENUM)
#undef MERGE_WAIT_ENUM
} merge_wait;

/* One segment of a plan. */
typedef struct merge_choice {
    uint64_t id;
    uint32_t index;      /* in the segments given */
    merge_reason reason; /* the most urgent of its reasons */
    uint64_t gain_bytes; /* expected to be freed */
    uint64_t kept_bytes; /* of these, what tombstones may take that stay */
    double score;        /* benefit for cost, bigger is better */
    /* Used while choosing. */
    uint64_t order;
    uint32_t reasons; /* bits */
    bool is_trigger;
} merge_choice;

typedef struct merge_plan {
    merge_reason reason; /* most urgent of the segments chosen, or of those
                            that would be if the wait were over */
    merge_wait wait;     /* NONE exactly if `count` is not 0 */
    uint64_t wait_ms;    /* FIRST_MINUTE: until it is over; else 0 */
    size_t count;        /* of segments chosen */
    size_t left;         /* segments that qualified but did not fit */
    /* The active segment holds most of what could be freed: seal it, so that
     * it can be merged. May come with or without a merge. */
    bool seal_active;
    uint64_t read_bytes; /* expected cost of what was chosen: segments that
                            expire as a whole go unread */
    uint64_t write_bytes;
    uint64_t freed_bytes; /* expected, net of what is written */
} merge_plan;

/* Defaults, for segments of at most `segment_max_bytes` bytes (settings.c). */
merge_settings merge_settings_default(uint64_t segment_max_bytes);

/*
 * Choose what to merge next.
 *
 *   segments, count  all sealed segments that count, in any order, each id once
 *   choices          room for `count`; the first ret_plan->count of them are
 *                    the plan in the order of their choice, the rest is scratch
 *
 * The result does not depend on the order of `segments`.
 *
 * Cost: O(n log n) for n segments; no memory but the caller's.
 * Source: Rosenblum & Ousterhout, The Design and Implementation of a
 * Log-Structured File System (1992), 3.5 (score); Bitcask (triggers).
 */
void merge_policy_choose(const merge_settings *settings,
                         const merge_moment *moment,
                         const merge_segment *segments, size_t count,
                         merge_choice *choices, merge_plan *ret_plan);

/* Text for messages, like "disk space is low". Never NULL. */
const char *merge_reason_text(merge_reason reason);
const char *merge_wait_text(merge_wait wait);

#endif
