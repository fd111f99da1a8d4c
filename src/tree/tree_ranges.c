/*
 * Books of deleted ranges, see tree_ranges.h.
 *
 * A book only grows: what was read stays where it is, and is published by the
 * count of it. Its first ranges are in an arrangement, all but some of the
 * newest, which are looked at one by one; a new arrangement is made before they
 * are many, and the old ones stay as long as the book, since somebody may be
 * reading them. Each has an eighth more than the one before, so all together
 * they are some times as large as the last.
 *
 * Books are not freed before the handle is closed, but used again; readers are
 * counted in them (tree_pins.h).
 */
#include "tree/tree_ranges.h"

#include <stdalign.h>
#include <stdlib.h>

#include "run/run_ranges.h"
#include "tree/memtable_layout.h"
#include "tree/tree_pins.h"
#include "tree/tree_record.h"

enum {
    PIECE = 256,  /* ranges that a book takes memory for at once */
    UNSORTED = 64 /* so many are looked at one by one, and an eighth */
};

/* How often a record that cannot be read is looked for: the end of the log
 * would have to be moved between two looks each time. */
enum { LOOKS = 100 };

typedef struct book_piece {
    run_range range[PIECE];
    cask_buffer bytes[PIECE]; /* records, which the ranges borrow */
} book_piece;

typedef struct arrangement {
    run_ranges ranges; /* the first ones of the book */
    struct arrangement *before;
} arrangement;

struct range_book {
    tree_pins pins;
    uint64_t life; /* of the memtable; constant while it is pinned or current */
    _Atomic uint64_t known;                     /* ranges */
    book_piece *piece[MEMTABLE_RANGES / PIECE]; /* as far as they are known */
    _Atomic(arrangement *) arranged; /* the newest, which has the others; NULL:
                                        there is none */

    /* Mutex. */
    range_book *next;
    bool is_used;
};

struct tree_ranges {
    store_handle *store;
    _Atomic(range_book *) current[MEMTABLES]; /* NULL: none */
    os_mutex mutex; /* to store `current`, to let a book grow, and for: */
    range_book *books;
};

static void lock(tree_ranges *self)
{
    os_mutex_enter(self->store->os, &self->mutex);
}

static void unlock(tree_ranges *self)
{
    os_mutex_leave(self->store->os, &self->mutex);
}

static run_range *range_at(const range_book *book, uint64_t index)
{
    return &book->piece[index / PIECE]->range[index % PIECE];
}

/* ---- Books -------------------------------------------------------------- */

static void empty(range_book *book)
{
    uint64_t known = atomic_load(&book->known);
    arrangement *arranged = atomic_load(&book->arranged);

    while (arranged != NULL) {
        arrangement *before = arranged->before;

        run_ranges_free(&arranged->ranges);
        free(arranged);
        arranged = before;
    }
    for (uint64_t i = 0; i < known; i++) {
        cask_buffer_free(&book->piece[i / PIECE]->bytes[i % PIECE]);
    }
    for (uint64_t i = 0; i < MEMTABLE_RANGES / PIECE; i++) {
        free(book->piece[i]);
        book->piece[i] = NULL;
    }
    atomic_store(&book->arranged, NULL);
    atomic_store(&book->known, 0);
    book->is_used = false;
}

static bool is_current(const tree_ranges *self, const range_book *book)
{
    for (unsigned i = 0; i < MEMTABLES; i++) {
        if (atomic_load(&self->current[i]) == book) {
            return true;
        }
    }
    return false;
}

static void empty_unused(tree_ranges *self)
{
    for (range_book *book = self->books; book != NULL; book = book->next) {
        if (book->is_used && !is_current(self, book) &&
            !tree_pins_are_held(&book->pins)) {
            empty(book);
        }
    }
}

/* One that is not used; NULL: no memory. */
static range_book *take_book(tree_ranges *self)
{
    range_book *book = self->books;

    while (book != NULL && (book->is_used || tree_pins_are_held(&book->pins))) {
        book = book->next;
    }
    if (book == NULL) {
        book = aligned_alloc(alignof(range_book), sizeof(*book));
        if (book == NULL) {
            return NULL;
        }
        memset(book, 0, sizeof(*book));
        book->next = self->books;
        self->books = book;
    }
    book->is_used = true;
    return book;
}

/* ---- Growing: under the mutex ------------------------------------------- */

static cask_status fail_gone(cask_error *err)
{
    return fail(err, CASK_BUSY, 0, "the memtable was flushed meanwhile");
}

cask_status tree_ranges_read(tree_ranges *self, const memtable_view *view,
                             uint64_t index, cask_buffer *bytes,
                             cask_run_entry *ret_entry, cask_error *err)
{
    const memtable_records records = tree_records(self->store);
    cask_status status = CASK_CORRUPT;

    for (int i = 0; i < LOOKS && status == CASK_CORRUPT; i++) {
        memtable_range row = {.sequence = 0};
        memtable_result result = memtable_range_at(view, index, &row);

        if (result == MEMTABLE_GONE) {
            return fail_gone(err);
        }
        if (result != MEMTABLE_FOUND) {
            return region_fail_uncovered(view->region, err);
        }
        status =
            records.read(records.context, row.place, bytes, ret_entry, err);
        if (status == CASK_OK && (ret_entry->info.sequence != row.sequence ||
                                  ret_entry->kind != CASK_RUN_DELETE_RANGE)) {
            status = store_fail_record(self->store, row.place,
                                       "another record is there", err);
        }
    }
    /* Its segment goes when the memtable has gone. */
    return status == CASK_CORRUPT &&
                   memtable_load(&view->memtable->life) != view->life
               ? fail_gone(err)
               : status;
}

static cask_status add_row(tree_ranges *self, const memtable_view *view,
                           range_book *book, cask_error *err)
{
    uint64_t index = atomic_load(&book->known);
    book_piece **piece = &book->piece[index / PIECE];
    cask_run_entry entry = {.key = {NULL, 0}};
    cask_buffer bytes = {0};
    cask_status status;

    if (*piece == NULL) {
        *piece = calloc(1, sizeof(**piece));
    }
    if (*piece == NULL) {
        return fail_memory(err, sizeof(**piece));
    }
    status = tree_ranges_read(self, view, index, &bytes, &entry, err);
    if (status != CASK_OK) {
        cask_buffer_free(&bytes);
        return status;
    }
    (*piece)->range[index % PIECE] =
        (run_range){.start = entry.key,
                    .end = key_end_of(entry.value),
                    .sequence = entry.info.sequence};
    (*piece)->bytes[index % PIECE] = bytes;
    atomic_store_explicit(&book->known, index + 1, memory_order_release);
    return CASK_OK;
}

static uint64_t arranged_count(const arrangement *arranged)
{
    return arranged != NULL ? arranged->ranges.count : 0;
}

/* Without memory they are looked at one by one. */
static void arrange(range_book *book)
{
    uint64_t known = atomic_load(&book->known);
    arrangement *before = atomic_load(&book->arranged);
    uint64_t unsorted = known - arranged_count(before);
    arrangement *arranged;
    run_range *copy;

    if (unsorted < UNSORTED + known / 8) {
        return;
    }
    arranged = calloc(1, sizeof(*arranged));
    copy = calloc(known, sizeof(*copy));
    if (arranged == NULL || copy == NULL) {
        free(arranged);
        free(copy);
        return;
    }
    for (uint64_t i = 0; i < known; i++) {
        copy[i] = *range_at(book, i);
    }
    arranged->before = before;
    if (run_ranges_build(&arranged->ranges, copy, (uint32_t)known, NULL) !=
        CASK_OK) {
        run_ranges_free(&arranged->ranges);
        free(arranged);
        return;
    }
    atomic_store_explicit(&book->arranged, arranged, memory_order_release);
}

/* Let the current book of the memtable have what is listed. */
static cask_status grow_locked(tree_ranges *self, const memtable_view *view,
                               uint64_t count, cask_error *err)
{
    _Atomic(range_book *) *current = &self->current[memtable_index(view)];
    range_book *book = atomic_load(current);
    cask_status status = CASK_OK;

    if (book != NULL && book->life > view->life) {
        return fail_gone(err);
    }
    if (book == NULL || book->life != view->life) {
        atomic_store(current, NULL);
        empty_unused(self);
        book = take_book(self);
        if (book == NULL) {
            return fail_memory(err, sizeof(*book));
        }
        book->life = view->life;
        atomic_store(current, book);
    }
    while (status == CASK_OK && atomic_load(&book->known) < count) {
        status = add_row(self, view, book, err);
    }
    arrange(book);
    return status;
}

/* ---- Pins --------------------------------------------------------------- */

/* The current book, if it has as much; it is pinned then. */
static range_book *try_pin(tree_ranges *self, const memtable_view *view,
                           uint64_t count)
{
    _Atomic(range_book *) *current = &self->current[memtable_index(view)];
    range_book *book = atomic_load(current);

    if (book == NULL) {
        return NULL;
    }
    tree_pins_add(self->store, &book->pins);
    if (atomic_load(current) == book && book->life == view->life &&
        atomic_load_explicit(&book->known, memory_order_acquire) >= count) {
        return book;
    }
    tree_ranges_unpin(self, book);
    return NULL;
}

cask_status tree_ranges_pin(tree_ranges *self, const memtable_view *view,
                            const range_book **ret_book, cask_error *err)
{
    uint64_t count = memtable_range_count(view);
    range_book *book = NULL;
    cask_status status = CASK_OK;

    while (count > 0 && status == CASK_OK && book == NULL) {
        book = try_pin(self, view, count);
        if (book == NULL) {
            lock(self);
            status = grow_locked(self, view, count, err);
            unlock(self);
        }
    }
    if (status == CASK_OK) {
        *ret_book = book;
    }
    return status;
}

void tree_ranges_unpin(tree_ranges *self, const range_book *book)
{
    if (book == NULL) {
        return;
    }
    /* Only its pins are changed. */
    tree_pins_remove(self->store, &((range_book *)(uintptr_t)book)->pins);
    if (!is_current(self, book)) {
        lock(self);
        empty_unused(self);
        unlock(self);
    }
}

void tree_ranges_let_go(tree_ranges *self)
{
    lock(self);
    for (unsigned i = 0; i < MEMTABLES; i++) {
        const range_book *book = atomic_load(&self->current[i]);
        memtable_view view;

        if (book != NULL &&
            (!memtable_open(&self->store->region, i, NULL, &view) ||
             view.life != book->life)) {
            atomic_store(&self->current[i], NULL);
        }
    }
    empty_unused(self);
    unlock(self);
}

/* ---- Asking ------------------------------------------------------------- */

size_t range_book_count(const range_book *book)
{
    return atomic_load_explicit(&book->known, memory_order_acquire);
}

void range_book_list(const range_book *book, size_t count,
                     iter_range *ret_ranges)
{
    for (size_t i = 0; i < count; i++) {
        const run_range *range = range_at(book, i);

        ret_ranges[i] = (iter_range){range->start, range->end, range->sequence};
    }
}

/* 0: there is none. */
static uint64_t find_newest(const range_book *book, cask_slice key,
                            uint64_t max_sequence)
{
    uint64_t known = atomic_load_explicit(&book->known, memory_order_acquire);
    const arrangement *arranged =
        atomic_load_explicit(&book->arranged, memory_order_acquire);
    const run_range *found =
        arranged != NULL ? run_ranges_find(&arranged->ranges, key, max_sequence)
                         : NULL;
    uint64_t newest = found != NULL ? found->sequence : 0;

    for (uint64_t i = arranged_count(arranged); i < known; i++) {
        const run_range *range = range_at(book, i);

        if (range->sequence > newest && range->sequence <= max_sequence &&
            key_compare(range->start, key) <= 0 &&
            key_compare(key, range->end) < 0) {
            newest = range->sequence;
        }
    }
    return newest;
}

cask_status tree_ranges_find(tree_ranges *self, const memtable_view *view,
                             cask_slice key, uint64_t max_sequence,
                             uint64_t *ret_sequence, cask_error *err)
{
    const range_book *book = NULL;
    cask_status status = tree_ranges_pin(self, view, &book, err);

    *ret_sequence = 0;
    if (book != NULL) {
        *ret_sequence = find_newest(book, key, max_sequence);
        tree_ranges_unpin(self, book);
    }
    return status;
}

/* ---- The whole ---------------------------------------------------------- */

cask_status tree_ranges_open(store_handle *store, tree_ranges **ret_ranges,
                             cask_error *err)
{
    tree_ranges *self = calloc(1, sizeof(*self));
    int os_errno;

    if (self == NULL) {
        return fail_memory(err, sizeof(*self));
    }
    self->store = store;
    os_errno = store->os->ops->mutex_init(store->os, &self->mutex);
    if (os_errno != 0) {
        free(self);
        return fail_os(err, os_errno, "cannot make a mutex");
    }
    *ret_ranges = self;
    return CASK_OK;
}

void tree_ranges_close(tree_ranges *take_ranges)
{
    tree_ranges *self = take_ranges;

    while (self != NULL && self->books != NULL) {
        range_book *book = self->books;

        self->books = book->next;
        empty(book);
        free(book);
    }
    free(self);
}
