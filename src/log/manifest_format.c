/*
 * Codec of the MANIFEST, see docs/format/manifest.md.
 */
#include "log/manifest_format.h"

#include <inttypes.h>

#include "base/bytes.h"
#include "base/crc32c.h"

enum {
    MANIFEST_AT_ENGINE = 12,     /* u32 */
    MANIFEST_AT_UUID = 16,       /* 16 bytes */
    MANIFEST_AT_NONCE = 32,      /* u64 */
    MANIFEST_AT_PAST_LOG = 40,   /* u64 */
    MANIFEST_AT_PAST_MERGE = 48, /* u64 */
    MANIFEST_AT_EDITS = 56,      /* u32 */
    MANIFEST_AT_CRC = 60         /* u32, of the 60 bytes before */
};

enum {
    EDIT_AT_CRC = 0,     /* u32, of the 44 bytes behind it and the seed */
    EDIT_AT_TYPE = 4,    /* u32 */
    EDIT_AT_NUMBER = 8,  /* u64 */
    EDIT_AT_OPERAND = 16 /* 4 x u64 */
};

enum { EDIT_OPERANDS = 4, SEED_SIZE = 16 };

_Static_assert(MANIFEST_AT_CRC + FORMAT_CRC_SIZE == MANIFEST_HEADER_SIZE,
               "the checksum is the end of the header");
_Static_assert(EDIT_AT_OPERAND + EDIT_OPERANDS * 8 == MANIFEST_EDIT_SIZE,
               "the operands are the end of an edit");

/* The operands of an edit as they are in the file: a, b, c, d. */
typedef struct edit_operands {
    uint64_t word[EDIT_OPERANDS];
} edit_operands;

static const format_kind manifest_kind = {
    .what = "Caskade MANIFEST",
    .magic = MANIFEST_MAGIC,
    .version = MANIFEST_VERSION,
    .size = MANIFEST_HEADER_SIZE,
};

void manifest_header_encode(const manifest_header *header,
                            uint8_t out[MANIFEST_HEADER_SIZE])
{
    format_begin(&manifest_kind, out);
    store_u32(out + MANIFEST_AT_ENGINE, (uint32_t)header->engine);
    memcpy(out + MANIFEST_AT_UUID, header->uuid, FORMAT_UUID_SIZE);
    store_u64(out + MANIFEST_AT_NONCE, header->nonce);
    store_u64(out + MANIFEST_AT_PAST_LOG, header->past_log_bytes);
    store_u64(out + MANIFEST_AT_PAST_MERGE, header->past_merge_bytes);
    store_u32(out + MANIFEST_AT_EDITS, header->edits);
    format_finish(&manifest_kind, out);
}

cask_status manifest_header_decode(const uint8_t in[MANIFEST_HEADER_SIZE],
                                   const char *name,
                                   manifest_header *ret_header, cask_error *err)
{
    cask_status status;

    status = format_check(&manifest_kind, in, name, 0, err);
    if (status != CASK_OK) {
        return status;
    }
    status = format_check_engine(load_u32(in + MANIFEST_AT_ENGINE), name,
                                 MANIFEST_AT_ENGINE, err);
    if (status != CASK_OK) {
        return status;
    }
    ret_header->engine = (cask_engine)load_u32(in + MANIFEST_AT_ENGINE);
    memcpy(ret_header->uuid, in + MANIFEST_AT_UUID, FORMAT_UUID_SIZE);
    ret_header->nonce = load_u64(in + MANIFEST_AT_NONCE);
    ret_header->past_log_bytes = load_u64(in + MANIFEST_AT_PAST_LOG);
    ret_header->past_merge_bytes = load_u64(in + MANIFEST_AT_PAST_MERGE);
    ret_header->edits = load_u32(in + MANIFEST_AT_EDITS);
    return CASK_OK;
}

/* Checksum of an edit without its first field, then the seed. */
static uint32_t edit_crc(const uint8_t bytes[MANIFEST_EDIT_SIZE],
                         manifest_seed seed)
{
    uint8_t place[SEED_SIZE];
    uint32_t crc;

    store_u64(place, seed.nonce);
    store_u64(place + 8, seed.offset);
    crc = crc32c(0, bytes + EDIT_AT_TYPE, MANIFEST_EDIT_SIZE - EDIT_AT_TYPE);
    return crc32c(crc, place, sizeof(place));
}

static uint64_t two_words(uint32_t low, uint32_t high)
{
    return (uint64_t)high << 32 | low;
}

static void load_piece(const uint8_t *piece, size_t size, uint64_t *words)
{
    for (size_t i = 0; i < size / 8; i++) {
        words[i] = load_u64(piece + 8 * i);
    }
}

static edit_operands operands_of(const manifest_edit *edit)
{
    edit_operands operands = {{0}};
    uint64_t *word = operands.word;

    switch (edit->type) {
    case MANIFEST_OPEN:
        word[0] = edit->open.segment_id;
        word[1] = edit->open.nonce;
        word[3] = (uint64_t)edit->open.kind;
        break;
    case MANIFEST_SEAL:
    case MANIFEST_SYNCED:
        word[0] = edit->seal.segment_id;
        word[1] = edit->seal.length;
        word[2] = edit->seal.last_sequence;
        word[3] = edit->seal.damaged_bytes;
        break;
    case MANIFEST_NEXT:
        word[0] = edit->next.segment_id;
        word[2] = edit->next.sequence;
        break;
    case MANIFEST_DROP:
    case MANIFEST_QUARANTINE:
        word[0] = edit->drop.segment_id;
        break;
    case MANIFEST_RUN:
        word[0] = edit->run.id;
        word[1] = edit->run.nonce;
        word[2] = edit->run.bytes;
        word[3] = two_words(edit->run.level, edit->run.run);
        break;
    case MANIFEST_RUN_BEGIN:
        word[0] = edit->begin.id;
        word[1] = two_words(edit->begin.size, edit->begin.offset);
        load_piece(edit->begin.piece, MANIFEST_PIECE, &word[2]);
        break;
    case MANIFEST_RUN_DROP:
        word[0] = edit->run_drop.id;
        break;
    case MANIFEST_RUN_ADDED:
        word[0] = edit->run_added.id;
        word[1] = (uint64_t)edit->run_added.sequence;
        break;
    case MANIFEST_LOST:
        word[0] = edit->lost.segment_id;
        word[1] = edit->lost.offset;
        word[2] = edit->lost.sequence;
        word[3] = two_words(edit->lost.known, edit->lost.key_size);
        break;
    case MANIFEST_LOST_KEY:
        word[0] = two_words(edit->lost_key.size, edit->lost_key.offset);
        load_piece(edit->lost_key.piece, MANIFEST_LOST_PIECE, &word[1]);
        break;
    case MANIFEST_RUNS:
        word[0] = edit->runs.flushed;
        word[1] = edit->runs.version;
        word[2] = edit->runs.edits;
        word[3] = edit->runs.crc;
        break;
    }
    return operands;
}

void manifest_edit_encode(const manifest_edit *edit, manifest_seed seed,
                          uint8_t out[MANIFEST_EDIT_SIZE])
{
    edit_operands operands = operands_of(edit);

    store_u32(out + EDIT_AT_TYPE, (uint32_t)edit->type);
    store_u64(out + EDIT_AT_NUMBER, edit->number);
    for (int i = 0; i < EDIT_OPERANDS; i++) {
        store_u64(out + EDIT_AT_OPERAND + 8 * i, operands.word[i]);
    }
    store_u32(out + EDIT_AT_CRC, edit_crc(out, seed));
}

/* An edit that is being decoded, and where it is, for messages. */
typedef struct edit_input {
    const uint8_t *bytes;
    const char *name;
    uint64_t offset;
    uint32_t type;
    edit_operands operands;
} edit_input;

/* Refuse operand `index`; `what` says what it is and what was expected. */
static cask_status bad_operand(const edit_input *input, int index,
                               cask_status status, const char *what,
                               cask_error *err)
{
    return fail(
        err, status, 0,
        "%s: offset %" PRIu64 ": edit of type %" PRIu32 ": %s, found %" PRIu64,
        input->name, input->offset + EDIT_AT_OPERAND + 8 * (uint64_t)index,
        input->type, what, input->operands.word[index]);
}

static cask_status check_crc(const edit_input *input, manifest_seed seed,
                             cask_error *err)
{
    uint32_t stored = load_u32(input->bytes + EDIT_AT_CRC);
    uint32_t computed = edit_crc(input->bytes, seed);

    if (computed != stored) {
        return fail(err, CASK_CORRUPT, 0,
                    "%s: offset %" PRIu64 ": crc32c of the edit is %08" PRIx32
                    ", stored %08" PRIx32,
                    input->name, input->offset, computed, stored);
    }
    return CASK_OK;
}

/* Type and number. */
static cask_status check_head(const edit_input *input, cask_error *err)
{
    if (input->type > MANIFEST_LOST_KEY) {
        return fail(err, CASK_UNSUPPORTED, 0,
                    "%s: offset %" PRIu64 ": type of edit is %" PRIu32
                    ", this program knows 1 to 13; use a newer Caskade",
                    input->name, input->offset + EDIT_AT_TYPE, input->type);
    }
    /* One chance in 2^32 lets zeros through the checksum: never an edit. */
    if (input->type == 0) {
        return fail(err, CASK_CORRUPT, 0,
                    "%s: offset %" PRIu64 ": type of edit is 0, expected 1 "
                    "to 13",
                    input->name, input->offset + EDIT_AT_TYPE);
    }
    if (load_u64(input->bytes + EDIT_AT_NUMBER) == 0) {
        return fail(err, CASK_CORRUPT, 0,
                    "%s: offset %" PRIu64 ": number of edit is 0, expected 1 "
                    "or more",
                    input->name, input->offset + EDIT_AT_NUMBER);
    }
    return CASK_OK;
}

/* Whatever a newer program put into an unused operand must not be lost. */
static cask_status check_unused(const edit_input *input, cask_error *err)
{
    static const bool used[][EDIT_OPERANDS] = {
        [MANIFEST_OPEN] = {true, true, false, true},
        [MANIFEST_SEAL] = {true, true, true, true},
        [MANIFEST_NEXT] = {true, false, true, false},
        [MANIFEST_DROP] = {true, false, false, false},
        [MANIFEST_SYNCED] = {true, true, true, true},
        [MANIFEST_QUARANTINE] = {true, false, false, false},
        [MANIFEST_RUN] = {true, true, true, true},
        [MANIFEST_RUN_BEGIN] = {true, true, true, true},
        [MANIFEST_RUN_DROP] = {true, false, false, false},
        [MANIFEST_RUNS] = {true, true, true, true},
        [MANIFEST_RUN_ADDED] = {true, true, false, false},
        [MANIFEST_LOST] = {true, true, true, true},
        [MANIFEST_LOST_KEY] = {true, true, true, true},
    };

    for (int i = 0; i < EDIT_OPERANDS; i++) {
        if (!used[input->type][i] && input->operands.word[i] != 0) {
            return bad_operand(input, i, CASK_UNSUPPORTED,
                               "a field that this program does not know "
                               "(use a newer Caskade), expected 0",
                               err);
        }
    }
    return CASK_OK;
}

static cask_status decode_open(const edit_input *input, manifest_edit *edit,
                               cask_error *err)
{
    const uint64_t *word = input->operands.word;

    if (word[3] < SEGMENT_LOG || word[3] > SEGMENT_RUN) {
        return bad_operand(input, 3, CASK_UNSUPPORTED,
                           "kind of segment (use a newer Caskade), expected "
                           "1 to 3",
                           err);
    }
    edit->open.segment_id = word[0];
    edit->open.nonce = word[1];
    edit->open.kind = (segment_kind)word[3];
    return CASK_OK;
}

static cask_status decode_seal(const edit_input *input, manifest_edit *edit,
                               cask_error *err)
{
    const uint64_t *word = input->operands.word;

    if (!segment_length_is_sound(word[1])) {
        return bad_operand(input, 1, CASK_CORRUPT,
                           "length of segment, expected a multiple of 8, "
                           "from 64 to 2^36",
                           err);
    }
    if (word[2] >= FORMAT_SEQUENCE_LIMIT) {
        return bad_operand(input, 2, CASK_CORRUPT,
                           "last sequence, expected less than 2^56", err);
    }
    edit->seal.segment_id = word[0];
    edit->seal.length = word[1];
    edit->seal.last_sequence = word[2];
    edit->seal.damaged_bytes = word[3];
    return CASK_OK;
}

static cask_status decode_next(const edit_input *input, manifest_edit *edit,
                               cask_error *err)
{
    const uint64_t *word = input->operands.word;

    /* The limit itself means that all have been given out. */
    if (word[2] > FORMAT_SEQUENCE_LIMIT) {
        return bad_operand(input, 2, CASK_CORRUPT,
                           "next sequence, expected 2^56 at most", err);
    }
    edit->next.segment_id = word[0];
    edit->next.sequence = word[2];
    return CASK_OK;
}

static cask_status decode_run(const edit_input *input, manifest_edit *edit,
                              cask_error *err)
{
    const uint64_t *word = input->operands.word;

    if (word[2] < SEGMENT_HEADER_SIZE || word[2] % 8 != 0) {
        return bad_operand(input, 2, CASK_CORRUPT,
                           "bytes of run, expected a multiple of 8, at "
                           "least 64",
                           err);
    }
    if ((uint32_t)word[3] >= MANIFEST_LEVELS) {
        return bad_operand(input, 3, CASK_CORRUPT,
                           "run << 32 and level, expected a level below 64",
                           err);
    }
    edit->run.id = word[0];
    edit->run.nonce = word[1];
    edit->run.bytes = word[2];
    edit->run.level = (uint32_t)word[3];
    edit->run.run = (uint32_t)(word[3] >> 32);
    return CASK_OK;
}

static cask_status decode_begin(const edit_input *input, manifest_edit *edit,
                                cask_error *err)
{
    const uint64_t *word = input->operands.word;
    uint32_t size = (uint32_t)word[1];
    uint32_t offset = (uint32_t)(word[1] >> 32);

    if (size == 0 || size > UINT16_MAX || offset >= size ||
        offset % MANIFEST_PIECE != 0) {
        return bad_operand(input, 1, CASK_CORRUPT,
                           "offset << 32 and size of key, expected a size of "
                           "1 to 65535 and an offset below it, a multiple "
                           "of 16",
                           err);
    }
    edit->begin.id = word[0];
    edit->begin.size = size;
    edit->begin.offset = offset;
    store_u64(edit->begin.piece, word[2]);
    store_u64(edit->begin.piece + 8, word[3]);
    for (uint32_t i = size - offset; i < MANIFEST_PIECE; i++) {
        if (edit->begin.piece[i] != 0) {
            return bad_operand(input, i < 8 ? 2 : 3, CASK_UNSUPPORTED,
                               "bytes behind the end of a key (use a newer "
                               "Caskade), expected 0 there",
                               err);
        }
    }
    return CASK_OK;
}

static cask_status decode_runs(const edit_input *input, manifest_edit *edit,
                               cask_error *err)
{
    const uint64_t *word = input->operands.word;

    if (word[0] >= FORMAT_SEQUENCE_LIMIT) {
        return bad_operand(input, 0, CASK_CORRUPT,
                           "flushed sequence, expected less than 2^56", err);
    }
    if (word[1] == 0) {
        return bad_operand(input, 1, CASK_CORRUPT,
                           "version, expected 1 or more", err);
    }
    for (int i = 2; i < EDIT_OPERANDS; i++) {
        if (word[i] > UINT32_MAX) {
            return bad_operand(input, i, CASK_UNSUPPORTED,
                               "number of edits or their crc32c (use a newer "
                               "Caskade), expected less than 2^32",
                               err);
        }
    }
    edit->runs.flushed = word[0];
    edit->runs.version = word[1];
    edit->runs.edits = (uint32_t)word[2];
    edit->runs.crc = (uint32_t)word[3];
    return CASK_OK;
}

static cask_status decode_run_added(const edit_input *input,
                                    manifest_edit *edit, cask_error *err)
{
    const uint64_t *word = input->operands.word;
    const uint64_t size = word[1] >> 63 != 0 ? 0 - word[1] : word[1];

    if (size == 0 || size >= FORMAT_SEQUENCE_LIMIT) {
        return bad_operand(input, 1, CASK_CORRUPT,
                           "added sequence, expected another than 0 between "
                           "-2^56 and 2^56",
                           err);
    }
    edit->run_added.id = word[0];
    edit->run_added.sequence =
        word[1] >> 63 != 0 ? -(int64_t)size : (int64_t)size;
    return CASK_OK;
}

static cask_status decode_lost(const edit_input *input, manifest_edit *edit,
                               cask_error *err)
{
    const uint64_t *word = input->operands.word;
    uint32_t known = (uint32_t)word[3];
    uint32_t key_size = (uint32_t)(word[3] >> 32);

    if (word[2] == 0 || word[2] >= FORMAT_SEQUENCE_LIMIT) {
        return bad_operand(input, 2, CASK_CORRUPT,
                           "sequence, expected 1 to 2^56 - 1", err);
    }
    if (known > MANIFEST_KNOWN || key_size > UINT16_MAX + 1U) {
        return bad_operand(input, 3, CASK_CORRUPT,
                           "size of a key << 32 and bytes known of it, "
                           "expected at most 65536 and 56",
                           err);
    }
    edit->lost.segment_id = word[0];
    edit->lost.offset = word[1];
    edit->lost.sequence = word[2];
    edit->lost.known = known;
    edit->lost.key_size = key_size;
    return CASK_OK;
}

static cask_status decode_lost_key(const edit_input *input, manifest_edit *edit,
                                   cask_error *err)
{
    const uint64_t *word = input->operands.word;
    uint32_t size = (uint32_t)word[0];
    uint32_t offset = (uint32_t)(word[0] >> 32);

    if (size > MANIFEST_KNOWN || offset >= size ||
        offset % MANIFEST_LOST_PIECE != 0) {
        return bad_operand(input, 0, CASK_CORRUPT,
                           "offset << 32 and bytes known of a key, expected at "
                           "most 56 and an offset below, a multiple of 24",
                           err);
    }
    edit->lost_key.size = size;
    edit->lost_key.offset = offset;
    for (size_t i = 0; i < MANIFEST_LOST_PIECE / 8; i++) {
        store_u64(edit->lost_key.piece + 8 * i, word[1 + i]);
    }
    for (uint32_t i = size - offset; i < MANIFEST_LOST_PIECE; i++) {
        if (edit->lost_key.piece[i] != 0) {
            return bad_operand(input, 1 + (int)i / 8, CASK_UNSUPPORTED,
                               "bytes behind what is known of a key (use a "
                               "newer Caskade), expected 0 there",
                               err);
        }
    }
    return CASK_OK;
}

static cask_status decode_operands(const edit_input *input, manifest_edit *edit,
                                   cask_error *err)
{
    switch (edit->type) {
    case MANIFEST_OPEN:
        return decode_open(input, edit, err);
    case MANIFEST_SEAL:
    case MANIFEST_SYNCED:
        return decode_seal(input, edit, err);
    case MANIFEST_NEXT:
        return decode_next(input, edit, err);
    case MANIFEST_DROP:
    case MANIFEST_QUARANTINE:
        edit->drop.segment_id = input->operands.word[0];
        return CASK_OK;
    case MANIFEST_RUN:
        return decode_run(input, edit, err);
    case MANIFEST_RUN_BEGIN:
        return decode_begin(input, edit, err);
    case MANIFEST_RUN_DROP:
        edit->run_drop.id = input->operands.word[0];
        return CASK_OK;
    case MANIFEST_RUNS:
        return decode_runs(input, edit, err);
    case MANIFEST_RUN_ADDED:
        return decode_run_added(input, edit, err);
    case MANIFEST_LOST:
        return decode_lost(input, edit, err);
    case MANIFEST_LOST_KEY:
        return decode_lost_key(input, edit, err);
    }
    return CASK_OK;
}

cask_status manifest_edit_decode(const uint8_t in[MANIFEST_EDIT_SIZE],
                                 const char *name, manifest_seed seed,
                                 manifest_edit *ret_edit, cask_error *err)
{
    edit_input input = {.bytes = in, .name = name, .offset = seed.offset};
    manifest_edit edit = {0};
    cask_status status;

    status = check_crc(&input, seed, err);
    if (status != CASK_OK) {
        return status;
    }
    input.type = load_u32(in + EDIT_AT_TYPE);
    for (int i = 0; i < EDIT_OPERANDS; i++) {
        input.operands.word[i] = load_u64(in + EDIT_AT_OPERAND + 8 * i);
    }
    status = check_head(&input, err);
    if (status != CASK_OK) {
        return status;
    }
    status = check_unused(&input, err);
    if (status != CASK_OK) {
        return status;
    }
    edit.type = (manifest_edit_type)input.type;
    edit.number = load_u64(in + EDIT_AT_NUMBER);
    status = decode_operands(&input, &edit, err);
    if (status == CASK_OK) {
        *ret_edit = edit;
    }
    return status;
}
