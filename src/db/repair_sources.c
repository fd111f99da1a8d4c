/*
 * Repair: which store this is, and which files hold its segments. A file is
 * what its header says, whatever its name; of one without a header, name,
 * MANIFEST, hint and footer tell what it was.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "db/place.h"
#include "db/repair_lost.h"
#include "db/repair_tree.h"
#include "log/segment.h"
#include "store/store_open.h"

enum { VOTES_MOST = 64 };

/* ---- Which store --------------------------------------------------------- */

/* How many files name each uuid. */
typedef struct votes {
    struct {
        uint8_t uuid[16];
        unsigned count;
    } of[VOTES_MOST];
    size_t count;
} votes;

static void vote(votes *v, const uint8_t uuid[16])
{
    size_t i = 0;

    while (i < v->count && memcmp(v->of[i].uuid, uuid, 16) != 0) {
        i++;
    }
    if (i == VOTES_MOST) {
        return;
    }
    if (i == v->count) {
        memcpy(v->of[i].uuid, uuid, 16);
        v->of[i].count = 0;
        v->count++;
    }
    v->of[i].count++;
}

/* The uuid with most votes, of equal ones the first; false: none. */
static bool elect(const votes *v, uint8_t ret_uuid[16])
{
    size_t best = 0;

    for (size_t i = 1; i < v->count; i++) {
        if (v->of[i].count > v->of[best].count) {
            best = i;
        }
    }
    if (v->count > 0) {
        memcpy(ret_uuid, v->of[best].uuid, 16);
    }
    return v->count > 0;
}

/* The first bytes of a file, if it has so many and they can be read. A failed
 * read is the file's own. */
static cask_status read_head(const repair *r, const char *name, uint8_t *bytes,
                             size_t size, bool *ret_read, cask_error *err)
{
    cask_error local = {CASK_OK, 0, ""};
    os_file *file = NULL;
    os_stat stat;
    size_t got = 0;
    cask_status status = file_open(r->dir, name, OS_READ, &file, &stat, &local);

    if (status == CASK_OK) {
        int os_errno = r->kernel->ops->read_at(file, bytes, size, 0, &got);

        r->kernel->ops->close(file);
        if (os_errno != 0) {
            got = 0;
        }
        if (os_errno != 0 && !repair_is_bad_block(os_errno)) {
            status = fail_os(&local, os_errno, "cannot read %s", name);
        }
    }
    *ret_read = got == size;
    return status == CASK_OK || repair_is_loss(&local)
               ? CASK_OK
               : fail_again(err, &local);
}

/* What may not be looked at and has no name of the store's files is of others
 * (a core dump, say, of another user) and does not end the repair. */
static cask_status skip_foreign(const char *name, const cask_error *why,
                                cask_error *err)
{
    bool is_refused = why->os_errno == EACCES || why->os_errno == EPERM;
    uint64_t id;

    return is_refused && !segment_name_parse(name, &id) &&
                   !hint_name_parse(name, &id)
               ? CASK_OK
               : fail_again(err, why);
}

/* What is known of a name in the directory. */
typedef struct finding {
    bool is_plain; /* a plain file is there; lost+found, say, is none */
    int os_errno;  /* media fail: nobody knows; else 0 */
    uint64_t size; /* of a plain file */
} finding;

static cask_status examine(const repair *r, const char *name,
                           finding *ret_found, cask_error *err)
{
    os_stat stat;
    int os_errno = r->kernel->ops->stat_name(r->dir, name, &stat);
    cask_error local = {CASK_OK, 0, ""};

    *ret_found = (finding){.is_plain = false};
    if (os_errno == 0 && stat.kind == OS_REGULAR) {
        *ret_found = (finding){.is_plain = true, .size = stat.size};
    }
    if (os_errno == 0 || os_errno == ENOENT) {
        return CASK_OK;
    }
    if (repair_is_bad_block(os_errno)) {
        ret_found->os_errno = os_errno;
        return CASK_OK;
    }
    (void)fail_os(&local, os_errno, "cannot examine %s", name);
    return skip_foreign(name, &local, err);
}

static cask_status read_header(const repair *r, const char *name,
                               segment_header *ret_header, bool *ret_read,
                               cask_error *err)
{
    uint8_t bytes[SEGMENT_HEADER_SIZE];
    cask_error local = {CASK_OK, 0, ""};
    cask_status status =
        read_head(r, name, bytes, sizeof(bytes), ret_read, &local);

    *ret_read = *ret_read &&
                segment_header_decode(bytes, name, ret_header, NULL) == CASK_OK;
    return status == CASK_OK ? CASK_OK : skip_foreign(name, &local, err);
}

typedef struct counting {
    const repair *r;
    votes votes;
    bool found; /* anything that only a store has */
    bool found_run;
    cask_status status;
    cask_error *err;
} counting;

/* Of values, too. */
static bool is_run(segment_kind kind)
{
    return kind == SEGMENT_RUN || kind == SEGMENT_VALUES;
}

static bool count_vote(void *context, const char *name)
{
    counting *c = context;
    segment_header header = {.kind = SEGMENT_LOG};
    bool has_header = false;
    finding found = {.is_plain = false};
    uint64_t id;

    c->found =
        c->found || segment_name_parse(name, &id) || run_name_parse(name, &id);
    if (strlen(name) < REPAIR_NAME) {
        c->status = examine(c->r, name, &found, c->err);
    }
    if (c->status == CASK_OK && found.is_plain) {
        c->status = read_header(c->r, name, &header, &has_header, c->err);
    }
    if (has_header) {
        vote(&c->votes, header.uuid);
        c->found = true;
        c->found_run = c->found_run || is_run(header.kind);
    }
    return c->status == CASK_OK;
}

static cask_status vote_of_manifest(const repair *r, votes *v, cask_error *err)
{
    uint8_t bytes[MANIFEST_HEADER_SIZE];
    manifest_header header;
    bool is_read;
    cask_status status =
        read_head(r, MANIFEST_NAME, bytes, sizeof(bytes), &is_read, err);

    if (is_read && manifest_header_decode(bytes, MANIFEST_NAME, &header,
                                          NULL) == CASK_OK) {
        vote(v, header.uuid);
    }
    return status;
}

static void tell_identity(repair *r, const char *message)
{
    message_place place = place_in_message(message, r->path, IDENTITY_NAME);
    char text[400];

    (void)snprintf(text, sizeof(text),
                   "%.*s; keys and values are not concerned, but hints could "
                   "not be used",
                   (int)strcspn(place.reason, ";"), place.reason);
    repair_tell(r, &(cask_lost){.at = {.file = IDENTITY_NAME,
                                       .offset = place.offset,
                                       .size_bytes = IDENTITY_SIZE,
                                       .reason = text},
                                .harmless = true});
}

static cask_status list(const repair *r, os_list_fn visit, void *context,
                        cask_error *err)
{
    int os_errno = r->kernel->ops->list(r->dir, visit, context);

    return os_errno == 0 ? CASK_OK
                         : fail_os(err, os_errno, "cannot list %s", r->path);
}

/* CASKADE has the hash key, without which hints tell nothing. */
static cask_status identify(repair *r, cask_error *err)
{
    counting c = {.r = r, .err = err};
    cask_error local = {CASK_OK, 0, ""};
    uint8_t uuid[16] = {0};
    cask_status read;

    r->has_identity =
        store_read_identity(r->dir, r->path, &r->identity, &local) == CASK_OK;
    if (r->has_identity) {
        vote(&c.votes, r->identity.uuid);
        c.found = true;
    } else if (!repair_is_loss(&local)) {
        return fail_again(err, &local);
    }
    read = vote_of_manifest(r, &c.votes, err);
    if (read == CASK_OK) {
        read = list(r, count_vote, &c, err);
    }
    if (read != CASK_OK || c.status != CASK_OK) {
        return read != CASK_OK ? read : c.status;
    }
    if (!c.found) {
        return fail(err, CASK_NOT_FOUND, 0,
                    "%s: there is nothing of a store in this directory",
                    r->path);
    }
    if (elect(&c.votes, uuid) && r->has_identity &&
        memcmp(uuid, r->identity.uuid, 16) != 0) {
        r->has_identity = false;
        (void)fail(&local, CASK_CORRUPT, 0, "belongs to another store");
    }
    if (!r->has_identity) {
        cask_status status = store_new_identity(
            r->kernel, c.found_run ? CASK_ENGINE_TREE : CASK_ENGINE_HASH,
            &r->identity, err);

        tell_identity(r, local.message);
        memcpy(r->identity.uuid, uuid, 16);
        return status;
    }
    return CASK_OK;
}

static bool is_tree(const repair *r)
{
    return r->identity.engine == CASK_ENGINE_TREE;
}

/* ---- MANIFEST ------------------------------------------------------------ */

static cask_status load_manifest(repair *r, cask_error *err)
{
    cask_error local = {CASK_OK, 0, ""};
    cask_status status =
        manifest_load(r->dir, r->identity.uuid, &r->manifest, &local);
    char text[512];

    if (status != CASK_OK && !repair_is_loss(&local)) {
        return fail_again(err, &local);
    }
    r->has_manifest = status == CASK_OK;
    if (r->has_manifest) {
        r->identity.engine = r->manifest.header.engine;
    } else {
        message_place place =
            place_in_message(local.message, r->path, MANIFEST_NAME);

        manifest_free(&r->manifest);
        (void)snprintf(
            text, sizeof(text),
            "%.*s; all segments that are there were read, but nobody "
            "knows whether others are missing, and keys that were "
            "deleted can be back if a merge had left files that it "
            "should have removed%s",
            (int)strcspn(place.reason, ";"), place.reason,
            is_tree(r) ? ", or had emptied a part of a run; runs that were "
                         "taken in count by the sequences in their files"
                       : "");
        repair_tell(r, &(cask_lost){.at = {.file = MANIFEST_NAME,
                                           .offset = place.offset,
                                           .reason = text}});
    }
    return repair_lost_begin(r, err);
}

/* ---- A source ------------------------------------------------------------ */

static cask_status add_source(repair *r, const repair_source *source,
                              cask_error *err)
{
    repair_source *sources =
        array_grow(r->sources, r->source_count, &r->source_capacity,
                   sizeof(*sources), err);

    if (sources == NULL) {
        return CASK_NO_MEMORY;
    }
    r->sources = sources;
    r->sources[r->source_count++] = *source;
    return CASK_OK;
}

/* 0: it tells none. */
static cask_status nonce_of_hint(const repair *r, uint64_t id,
                                 uint64_t *ret_nonce, cask_error *err)
{
    uint8_t bytes[HINT_HEADER_SIZE];
    char name[SEGMENT_NAME_SIZE];
    hint_header header;
    bool is_read;
    cask_status status;

    hint_name_format(id, name);
    status = read_head(r, name, bytes, sizeof(bytes), &is_read, err);
    *ret_nonce =
        is_read && hint_header_decode(bytes, name, &header, NULL) == CASK_OK &&
                header.segment_id == id
            ? header.segment_nonce
            : 0;
    return status;
}

static uint64_t nonce_of_footer(repair_bytes *bytes)
{
    segment_footer footer;
    uint64_t offset = bytes->size - SEGMENT_FOOTER_SIZE;
    const uint8_t *at = bytes->size < SEGMENT_FOOTER_SIZE
                            ? NULL
                            : repair_view(bytes, offset, SEGMENT_FOOTER_SIZE);

    return at != NULL && segment_footer_decode(at, "", offset, &footer, NULL) ==
                             CASK_OK
               ? footer.nonce
               : 0;
}

/* What a damaged header says; the damage may be elsewhere in it. */
static uint64_t nonce_of_header(repair_bytes *bytes)
{
    const uint8_t *at = repair_view(bytes, 0, SEGMENT_HEADER_SIZE);

    return at != NULL ? segment_header_nonce(at) : 0;
}

/* By which of the nonces a record verifies. */
static cask_status choose(repair *r, repair_source *source, uint64_t nonces[4],
                          cask_error *err)
{
    cask_error local = {CASK_OK, 0, ""};
    repair_bytes bytes;

    if (repair_open_source(r, source, &bytes, &local) != CASK_OK &&
        !repair_is_loss(&local)) {
        return fail_again(err, &local);
    }
    nonces[2] = nonce_of_header(&bytes);
    nonces[3] = nonce_of_footer(&bytes);
    for (size_t i = 0; i < 4; i++) {
        if (nonces[i] != 0 && repair_has_record(&bytes, nonces[i])) {
            source->nonce = nonces[i];
            break;
        }
    }
    local = bytes.err;
    repair_close_source(source, &bytes);
    return local.status == CASK_OK ? CASK_OK : fail_again(err, &local);
}

/* Of a file whose header is damaged: whatever may be its nonce is tried, for no
 * record verifies by another. */
static cask_status guess(repair *r, repair_source *source, cask_error *err)
{
    const manifest_segment *listed = manifest_find(&r->manifest, source->id);
    uint64_t nonces[4] = {listed != NULL ? listed->nonce : 0, 0, 0, 0};
    cask_status status = nonce_of_hint(r, source->id, &nonces[1], err);

    source->nonce = nonces[0];
    return status == CASK_OK ? choose(r, source, nonces, err) : status;
}

/* Whether all that is in a segment is in runs, too. */
static bool is_flushed(const repair *r, const manifest_segment *listed)
{
    return listed->sealed && listed->last_sequence <= r->manifest.flushed &&
           !repair_has_lost(r, listed->id);
}

/* What MANIFEST knows of it. */
static void match(const repair *r, repair_source *source)
{
    const manifest_segment *listed = manifest_find(&r->manifest, source->id);

    source->is_used = !r->has_manifest;
    if (listed != NULL && listed->nonce == source->nonce) {
        source->is_listed = true;
        source->length = listed->sealed ? listed->length : 0;
        source->synced = listed->synced;
        source->is_used = !is_flushed(r, listed);
    }
}

/* ---- A run --------------------------------------------------------------- */

static void match_run(const repair *r, repair_source *source)
{
    const manifest_run *listed = manifest_find_run(&r->manifest, source->id);

    if (listed != NULL && listed->nonce == source->nonce) {
        source->is_listed = true;
        source->begin = listed->begin;
        source->added = (uint64_t)listed->added;
    }
    source->is_used = source->is_listed || !r->has_manifest;
}

/* By which of the nonces a record verifies; and the length, if the footer is
 * whole. */
static void look_at_run(repair_source *source, repair_bytes *bytes,
                        uint64_t nonces[4])
{
    uint64_t footer_at = bytes->size - RUN_FOOTER_SIZE;
    const uint8_t *raw = bytes->size < RUN_FOOTER_SIZE
                             ? NULL
                             : repair_view(bytes, footer_at, RUN_FOOTER_SIZE);
    run_footer footer;

    nonces[2] = raw != NULL ? load_u64(raw + 16) : 0;
    nonces[3] = nonce_of_header(bytes);
    for (size_t i = 0; i < 4; i++) {
        if (nonces[i] != 0 && repair_has_record(bytes, nonces[i])) {
            source->nonce = nonces[i];
            break;
        }
    }
    if (repair_run_footer(bytes, &footer) && footer.nonce == source->nonce) {
        source->length = footer.length;
    }
}

static cask_status take_run(repair *r, repair_source *source, cask_error *err)
{
    const manifest_run *listed = manifest_find_run(&r->manifest, source->id);
    uint64_t nonces[4] = {source->nonce, listed != NULL ? listed->nonce : 0};
    cask_error local = {CASK_OK, 0, ""};
    repair_bytes bytes;

    if (!is_tree(r)) {
        return CASK_OK; /* somebody's, that happens to be here */
    }
    if (repair_open_source(r, source, &bytes, &local) == CASK_OK) {
        look_at_run(source, &bytes, nonces);
        local = bytes.err;
    }
    repair_close_source(source, &bytes);
    if (local.status != CASK_OK && !repair_is_loss(&local)) {
        return fail_again(err, &local);
    }
    if (source->nonce == 0 && listed != NULL) {
        source->nonce = listed->nonce;
    }
    if (!source->has_header && listed != NULL &&
        listed->level == MANIFEST_VALUES) {
        source->kind = SEGMENT_VALUES;
    }
    match_run(r, source);
    return add_source(r, source, err);
}

/* Whether others tell of it, or nothing in it can be lost. */
static bool is_no_segment(const char *name)
{
    static const char *const names[] = {MANIFEST_NAME, IDENTITY_NAME,
                                        CONFIG_NAME, LOCK_NAME};
    uint64_t id;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return hint_name_parse(name, &id);
}

/* What media do not even let be examined: if it is not known to be a segment
 * that counts, it is told now. If it is one by another name, that one is
 * missing, which is told by itself. */
static cask_status take_unknown(repair *r, repair_source *source,
                                cask_error *err)
{
    cask_status status = CASK_OK;
    cask_error why;

    if (segment_name_parse(source->name, &source->id)) {
        const manifest_segment *listed =
            manifest_find(&r->manifest, source->id);

        if (listed != NULL) {
            source->nonce = listed->nonce;
        } else {
            status = nonce_of_hint(r, source->id, &source->nonce, err);
        }
        match(r, source);
        if (status != CASK_OK || source->is_used) {
            return status == CASK_OK ? add_source(r, source, err) : status;
        }
    }
    if (!is_no_segment(source->name)) {
        (void)fail_os(&why, source->os_errno, "cannot be examined");
        repair_tell(
            r, &(cask_lost){.at = {.file = source->name, .reason = why.message},
                            .harmless = r->has_manifest && !r->manifest.torn});
    }
    return CASK_OK;
}

/* A plain file: what its header says, or, without one, its name. */
static cask_status take_file(repair *r, repair_source *source, cask_error *err)
{
    segment_header header;
    cask_status status =
        read_header(r, source->name, &header, &source->has_header, err);

    if (source->has_header) {
        if (memcmp(header.uuid, r->identity.uuid, 16) != 0) {
            return CASK_OK; /* another store's */
        }
        source->id = header.id;
        source->nonce = header.nonce;
        source->born = header.born;
        source->kind = header.kind;
    } else if (status == CASK_OK && run_name_parse(source->name, &source->id)) {
        source->kind = SEGMENT_RUN;
    } else if (status == CASK_OK &&
               segment_name_parse(source->name, &source->id)) {
        status = guess(r, source, err);
    } else {
        return status;
    }
    if (status == CASK_OK && is_run(source->kind)) {
        status = take_run(r, source, err);
    } else if (status == CASK_OK) {
        match(r, source);
        status = add_source(r, source, err);
    }
    if (status != CASK_OK) {
        free(source->bad.items);
    }
    return status;
}

typedef struct search {
    repair *r;
    cask_status status;
    cask_error *err;
} search;

static bool find_source(void *context, const char *name)
{
    search *s = context;
    repair_source source = {.kind = SEGMENT_LOG};
    finding found = {.is_plain = false};

    if (strlen(name) < sizeof(source.name)) {
        s->status = examine(s->r, name, &found, s->err);
        (void)snprintf(source.name, sizeof(source.name), "%s", name);
    }
    if (s->status == CASK_OK && found.is_plain) {
        source.size = repair_file_bytes(source.name, found.size);
        s->status = take_file(s->r, &source, s->err);
    } else if (s->status == CASK_OK && found.os_errno != 0) {
        source.os_errno = found.os_errno;
        s->status = take_unknown(s->r, &source, s->err);
    }
    return s->status == CASK_OK;
}

/* ---- All ----------------------------------------------------------------- */

static bool has_source(const repair *r, uint64_t id)
{
    for (size_t i = 0; i < r->source_count; i++) {
        if (r->sources[i].id == id && r->sources[i].is_listed) {
            return true;
        }
    }
    return false;
}

/* Segments that MANIFEST lists and no file holds: hints may still name their
 * keys. */
static cask_status add_missing(repair *r, cask_error *err)
{
    cask_status status = CASK_OK;

    for (size_t i = 0; i < r->manifest.count && status == CASK_OK; i++) {
        const manifest_segment *listed = &r->manifest.segments[i];
        repair_source source = {.id = listed->id,
                                .nonce = listed->nonce,
                                .length = listed->sealed ? listed->length : 0,
                                .synced = listed->synced,
                                .kind = listed->kind,
                                .is_listed = true,
                                .is_used = true};

        if (!has_source(r, listed->id) && !is_flushed(r, listed)) {
            segment_name_format(listed->id, source.name);
            status = add_source(r, &source, err);
        }
    }
    return status;
}

static cask_status add_missing_runs(repair *r, cask_error *err)
{
    cask_status status = CASK_OK;

    for (size_t i = 0; i < r->manifest.run_count && status == CASK_OK; i++) {
        const manifest_run *listed = &r->manifest.runs[i];
        repair_source source = {.id = listed->id,
                                .nonce = listed->nonce,
                                .length = listed->bytes,
                                .kind = listed->level == MANIFEST_VALUES
                                            ? SEGMENT_VALUES
                                            : SEGMENT_RUN,
                                .is_listed = true,
                                .is_used = true};

        if (!has_source(r, listed->id)) {
            run_name_format(listed->id, source.name);
            status = add_source(r, &source, err);
        }
    }
    return status;
}

static bool is_held(const repair *r, uint64_t id)
{
    for (size_t i = 0; i < r->source_count; i++) {
        if (r->sources[i].id == id) {
            return true;
        }
    }
    return false;
}

/* The same without a MANIFEST: a hint tells of a segment that is missing. */
static bool find_orphan(void *context, const char *name)
{
    search *s = context;
    repair_source source = {.kind = SEGMENT_LOG, .is_used = true};

    if (hint_name_parse(name, &source.id) && !is_held(s->r, source.id)) {
        s->status = nonce_of_hint(s->r, source.id, &source.nonce, s->err);
        segment_name_format(source.id, source.name);
        if (s->status == CASK_OK) {
            s->status = add_source(s->r, &source, s->err);
        }
    }
    return s->status == CASK_OK;
}

static int by_id(const void *left, const void *right)
{
    const repair_source *a = left;
    const repair_source *b = right;

    return a->id < b->id ? -1 : a->id > b->id;
}

cask_status repair_find_sources(repair *r, cask_error *err)
{
    search s = {r, CASK_OK, err};
    cask_status status = identify(r, err);

    if (status == CASK_OK) {
        status = load_manifest(r, err);
    }
    if (status == CASK_OK) {
        status = list(r, find_source, &s, err);
    }
    if (status == CASK_OK && s.status == CASK_OK && !r->has_manifest) {
        status = list(r, find_orphan, &s, err);
    }
    status = status == CASK_OK ? s.status : status;
    if (status == CASK_OK) {
        status = add_missing(r, err);
    }
    if (status == CASK_OK) {
        status = add_missing_runs(r, err);
    }
    if (status == CASK_OK && r->source_count > 1) {
        qsort(r->sources, r->source_count, sizeof(*r->sources), by_id);
    }
    return status;
}
