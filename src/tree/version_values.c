/*
 * Runs of values: how pointers lead to them, and how long they stay. A run
 * names in its footer all that its pointers lead to, so nothing else has to be
 * kept: one that no run of a version names leaves with that version.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "run/run_pointer.h"
#include "tree/version_work.h"

int version_values_compare(const void *left, const void *right)
{
    const version_values *a = left;
    const version_values *b = right;

    return a->id < b->id ? -1 : a->id > b->id;
}

const version_values *version_find_values(const version *pinned, uint64_t id)
{
    const version_values wanted = {.id = id};

    return pinned->values_count == 0
               ? NULL
               : bsearch(&wanted, pinned->values, pinned->values_count,
                         sizeof(*pinned->values), version_values_compare);
}

/* ---- Reading ------------------------------------------------------------- */

cask_status version_read_value(const version *pinned,
                               const cask_run_entry *pointer,
                               cask_slice *ret_value, cask_error *err)
{
    const uint64_t id = pointer->pointer.segment_id;
    const version_values *values = version_find_values(pinned, id);
    cask_error why = {CASK_OK, 0, ""};

    if (values == NULL) {
        (void)fail(&why, CASK_CORRUPT, 0,
                   "%016" PRIx64 ".run: MANIFEST does not list it", id);
    } else if (values->file == NULL) {
        (void)fail(&why, CASK_CORRUPT, 0, "%s", values->damage);
    } else if (run_read_value(values->file, pointer, ret_value, &why) ==
               CASK_OK) {
        return CASK_OK;
    }
    return fail(err, CASK_CORRUPT, 0,
                "%s; the value of the key is there, and is not returned: "
                "restore the file from a backup, or see 'caskade repair'",
                why.message);
}

/* ---- Staying ------------------------------------------------------------- */

/* What is looked for: which of the runs of values are named. */
typedef struct naming {
    const version *pinned;
    const version_edit *edit;
    bool *is_named; /* of pinned->values */
} naming;

static bool is_named_by(const cask_run *file, uint64_t id)
{
    for (uint32_t i = 0; i < file->footer.segments; i++) {
        if (run_named_at(file, i).id == id) {
            return true;
        }
    }
    return false;
}

/* Whether a pointer to what is not there is an old one: damage that reads tell,
 * and that compactions carry on. */
static bool was_named(const version *pinned, uint64_t id)
{
    for (size_t i = 0; i < pinned->count; i++) {
        if (is_named_by(pinned->runs[i].file, id)) {
            return true;
        }
    }
    return false;
}

/* is_new: what it names must be there, if it was not missing before. */
static cask_status note_named(const naming *n, const cask_run *file,
                              bool is_new, cask_error *err)
{
    for (uint32_t i = 0; i < file->footer.segments; i++) {
        uint64_t id = run_named_at(file, i).id;
        const version_values *values = version_find_values(n->pinned, id);

        if (values != NULL) {
            n->is_named[values - n->pinned->values] = true;
        } else if (is_new && !version_edit_adds(n->edit, id) &&
                   !was_named(n->pinned, id)) {
            return fail(err, CASK_INVALID, 0,
                        "%s: names run %016" PRIx64 ", which is not part of "
                        "the tree",
                        file->name, id);
        }
    }
    return CASK_OK;
}

/* All runs that there will be. */
static cask_status note_all(const naming *n, const cask_run *const *files,
                            cask_error *err)
{
    cask_status status = CASK_OK;

    for (size_t i = 0; i < n->pinned->count && status == CASK_OK; i++) {
        const version_run *run = &n->pinned->runs[i];

        if (!version_edit_drops(n->edit, run->id)) {
            status = note_named(n, run->file, false, err);
        }
    }
    for (size_t i = 0; i < n->edit->add_count && status == CASK_OK; i++) {
        status = note_named(n, files[i], true, err);
    }
    return status;
}

cask_status version_find_unnamed(const version *pinned,
                                 const version_edit *edit,
                                 const cask_run *const *files,
                                 uint64_t *ret_ids, size_t *ret_count,
                                 cask_error *err)
{
    naming n = {.pinned = pinned,
                .edit = edit,
                .is_named = calloc(pinned->values_count + 1, sizeof(bool))};
    cask_status status;

    *ret_count = 0;
    if (n.is_named == NULL) {
        return fail_memory(err, pinned->values_count + 1);
    }
    status = note_all(&n, files, err);
    for (size_t i = 0; i < pinned->values_count && status == CASK_OK; i++) {
        if (!n.is_named[i] && pinned->broken_count == 0) {
            ret_ids[(*ret_count)++] = pinned->values[i].id;
        }
    }
    free(n.is_named);
    return status;
}
