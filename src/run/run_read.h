/*
 * Reading a run: the bytes of a file that is mapped, or bytes in memory.
 * include/caskade/run.h says what callers are told; arguments have been checked
 * there.
 *
 * Nothing is believed but what a checksum covers, and no number of the file is
 * used before it was compared with the file's size: not even one with a right
 * checksum, since a file may have been crafted. Each record is verified on each
 * read. But that crafted records are in order is not checked: out of order they
 * are not found, or found at another place.
 *
 * The file is as long as its footer says when it is mapped. Whoever cuts it
 * afterwards, or media that fail, end the program by SIGBUS, as with segments
 * (docs/GUARANTEES.md).
 */
#ifndef CASKADE_RUN_READ_H
#define CASKADE_RUN_READ_H

#include "base/error.h"
#include "os/os.h"
#include "run/run_hash.h"
#include "run/run_ranges.h"

/* A search among fences begins with one of so many. */
enum { RUN_TOP_FENCES = 64 };

struct cask_run {
    os *kernel;   /* NULL: the bytes are the caller's */
    void *memory; /* the map */
    const uint8_t *bytes;
    uint64_t size; /* of the file */
    char *name;    /* for messages */
    run_footer footer;
    uint64_t added_sequence; /* to those of the file, for all that is told;
                                modulo 2^64, for it may be less than 0 */
    uint64_t at[RUN_SECTIONS + 1]; /* of the sections and the footer */
    uint32_t place_bits;
    bool is_usual;  /* it has records, and none deletes a range */
    bool is_values; /* it is a run of values */
    cask_slice smallest;
    cask_slice largest;
    cask_slice end;    /* the largest of a range; empty: there is none */
    size_t skip;       /* bytes in front of the heads of fences */
    run_ranges ranges; /* footer.ranges of them */
    uint8_t *segments; /* a copy of that section: what happens to the file
                          while it is open must not change which other files
                          are needed; NULL: it is empty */
    uint64_t *tops;    /* heads of each RUN_TOP_FENCES-th fence */
    uint32_t top_count;
};

/*
 * Read the run that these bytes are. As cask_run_open(); the bytes must stay
 * until run_close().
 */
cask_status run_open_bytes(const uint8_t *bytes, uint64_t size,
                           const char *name, cask_run **ret_run,
                           cask_error *err);

/* How much of a file an open reads and verifies. */
typedef enum run_extent {
    RUN_WHOLE,  /* all but its records: it can be read */
    RUN_ENDS,   /* header, footer, and that they belong together */
    RUN_BOUNDED /* footer and bounds alone, of one that may be damaged else:
                   smallest, largest and end are known. `expected` is given,
                   with its nonce */
} run_extent;

/* How a store opens a run. Start with {0}: of no store. */
typedef struct run_open_options {
    run_extent extent; /* else than as a whole it is for nothing but footer and
                          bounds */
    /*
     * Of a run that was made elsewhere and taken in. Its records count as if
     * they had been put when it was taken in, in the order of their sequences:
     * this is added to each, so that they follow the store's last sequence at
     * that time, and limits are meant so, too. The file stays as it is.
     */
    int64_t added_sequence;
    const segment_header *expected; /* kind, uuid, id and nonce (0: any) that it
                                       must have; NULL: any. Borrowed for the
                                       call */
} run_open_options;

/*
 * Map and read the run `name`. As cask_run_open(); also CASK_INVALID if
 * sequences would become too large, or less than 1.
 *
 *   options  NULL: of no store
 */
cask_status run_open(os_file *dir, const char *name,
                     const run_open_options *options, cask_run **ret_run,
                     cask_error *err);

/* Sequences of its records as they are told; 0: there are none. */
static inline uint64_t run_first_sequence(const cask_run *run)
{
    return run->footer.records == 0
               ? 0
               : run->footer.first_sequence + run->added_sequence;
}

static inline uint64_t run_last_sequence(const cask_run *run)
{
    return run->footer.records == 0
               ? 0
               : run->footer.last_sequence + run->added_sequence;
}

/* Accepts NULL. */
void run_close(cask_run *run);

/* One verified record. */
typedef struct run_record {
    uint64_t offset;
    uint64_t next; /* offset behind it; at most footer.length */
    record_header header;
    const uint8_t *body; /* expiry, key, value */
} run_record;

static inline cask_slice run_record_key(const run_record *record)
{
    return (cask_slice){record->body + record_expiry_size(&record->header),
                        record->header.key_size};
}

/*
 * Read the record at `offset`, which may be anything, and verify its header
 * alone. Returns CASK_OK; CASK_CORRUPT; CASK_UNSUPPORTED (kind or flag). What
 * is in *ret_record may be overwritten in any case.
 */
cask_status run_read_header(const cask_run *run, uint64_t offset,
                            run_record *ret_record, cask_error *err);

/* The same, and all of the record. */
cask_status run_read_record(const cask_run *run, uint64_t offset,
                            run_record *ret_record, cask_error *err);

/* Whether a record may be at `offset`. */
static inline bool run_is_place(const cask_run *run, uint64_t offset)
{
    /* No run is shorter than a header. */
    return offset >= SEGMENT_HEADER_SIZE && offset % 8 == 0 &&
           offset <= run->footer.length - RECORD_HEADER_SIZE;
}

/* What its checksums have as a seed. */
static inline record_seed run_seed(const cask_run *run, uint64_t offset)
{
    return (record_seed){run->footer.nonce, offset};
}

/* What is wrong with a verified record besides: CASK_OK; CASK_CORRUPT. */
cask_status run_check_kind(const cask_run *run, const run_record *record,
                           cask_error *err);

/* CASK_CORRUPT: the checksum of the record at `offset` is wrong. */
cask_status run_fail_body(const cask_run *run, uint64_t offset,
                          cask_error *err);

/* Of an entry of kind CASK_RUN_POINTER, whose value is as in the file. */
void run_describe_pointer(cask_run_entry *entry);

/*
 * What a record says, with these bytes, which are those of the file or copies.
 */
static inline void run_describe_as(const cask_run *run,
                                   const record_header *header,
                                   const uint8_t *body, cask_slice key,
                                   const void *value, cask_run_entry *ret_entry)
{
    *ret_entry = (cask_run_entry){
        .kind = (cask_run_kind)record_kind(header),
        .key = key,
        .value = {value, header->value_size},
        .info = {.sequence = header->sequence + run->added_sequence,
                 .time_s = header->time_s,
                 .value_bytes = header->value_size}};
    if ((header->type & RECORD_EXPIRES) != 0) {
        ret_entry->info.expires_at_ms = load_u64(body);
    }
    if (ret_entry->kind == CASK_RUN_POINTER) {
        run_describe_pointer(ret_entry);
    }
}

/* The same; the slices are those of the file. */
static inline void run_describe(const cask_run *run, const run_record *record,
                                cask_run_entry *ret_entry)
{
    cask_slice key = run_record_key(record);

    run_describe_as(run, &record->header, record->body, key,
                    (const uint8_t *)key.data + key.size, ret_entry);
}

/* As cask_run_get(). */
cask_status run_get(const cask_run *run, cask_slice key, uint64_t max_sequence,
                    cask_buffer *ret_value, cask_run_entry *ret_entry,
                    cask_error *err);

/* What is looked for in runs that share a hash key. */
typedef struct run_wanted {
    cask_slice key;
    uint64_t hash;         /* run_hash() of it, with their hash key */
    uint64_t max_sequence; /* 0: the newest */
} run_wanted;

static inline bool run_is_hashed_by(const cask_run *run, run_hash_key hash_key)
{
    return run->footer.hash_key.word[0] == hash_key.word[0] &&
           run->footer.hash_key.word[1] == hash_key.word[1];
}

/* run_get() in a run that run_is_hashed_by() the key of the hash. */
cask_status run_get_hashed(const cask_run *run, const run_wanted *wanted,
                           cask_buffer *ret_value, cask_run_entry *ret_entry,
                           cask_error *err);

/* As cask_run_may_have_prefix(). */
bool run_may_have_prefix(const cask_run *run, cask_slice prefix);

/* Fence `index`, less than footer.fences. */
static inline uint64_t run_fence_head(const cask_run *run, uint32_t index)
{
    return load_u64(run->bytes + run->at[RUN_FENCES] +
                    (uint64_t)index * sizeof(uint64_t));
}

static inline uint64_t run_fence_offset(const cask_run *run, uint32_t index)
{
    const uint8_t *places = run->bytes + run->at[RUN_FENCES] +
                            (uint64_t)run->footer.fences * sizeof(uint64_t);

    return (uint64_t)load_u32(places + (uint64_t)index * sizeof(uint32_t)) * 8;
}

#endif
