/*
 * What the demo stores: file paths and the packages that own them.
 */
#include "records.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void die(const char *file, const char *why)
{
    (void)fprintf(stderr, "caskade-demo: %s: %s\n", file, why);
    exit(EXIT_FAILURE);
}

static char *read_file(const char *file, size_t *ret_size)
{
    FILE *from = fopen(file, "re");
    char *text = NULL;
    size_t capacity = 1 << 20;
    size_t size = 0;
    size_t got;

    if (from == NULL) {
        die(file, "cannot open it");
        return NULL;
    }
    do {
        char *grown;

        capacity *= 2;
        grown = realloc(text, capacity);
        if (grown == NULL) {
            free(text);
            die(file, "no memory");
            return NULL;
        }
        text = grown;
        got = fread(text + size, 1, capacity - size, from);
        size += got;
    } while (size == capacity);
    if (ferror(from) != 0) {
        die(file, "cannot read it");
    }
    (void)fclose(from);
    *ret_size = size;
    return text;
}

/* Undo \\ and \t in place: all that the demo's list of paths contains. */
static size_t unescape(char *bytes, size_t size)
{
    size_t to = 0;

    for (size_t from = 0; from < size; from++) {
        char c = bytes[from];

        if (c == '\\' && from + 1 < size) {
            from++;
            c = bytes[from];
            c = c == 't' ? '\t' : c;
        }
        bytes[to++] = c;
    }
    return to;
}

static record parse_line(char *line, size_t size, size_t number,
                         const char *file)
{
    char *tab = memchr(line, '\t', size);
    record row = {.line = number};

    if (tab == NULL) {
        die(file, "a line without a TAB");
        return row;
    }
    row.package = (cask_slice){tab + 1, size - (size_t)(tab + 1 - line)};
    row.path = (cask_slice){line, unescape(line, (size_t)(tab - line))};
    return row;
}

static int compare_bytes(cask_slice a, cask_slice b)
{
    size_t shorter = a.size < b.size ? a.size : b.size;
    int order = shorter == 0 ? 0 : memcmp(a.data, b.data, shorter);

    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

/* By path; of equal ones the last line first. */
static int compare_rows(const void *a, const void *b)
{
    const record *first = a;
    const record *second = b;
    int order = compare_bytes(first->path, second->path);

    return order != 0
               ? order
               : (first->line < second->line) - (first->line > second->line);
}

static void keep_last_of_each(records *all)
{
    size_t kept = 0;

    qsort(all->rows, all->line_count, sizeof(record), compare_rows);
    for (size_t i = 0; i < all->line_count; i++) {
        if (kept == 0 ||
            compare_bytes(all->rows[kept - 1].path, all->rows[i].path) != 0) {
            all->rows[kept++] = all->rows[i];
        }
    }
    all->count = kept;
}

static size_t count_lines(const char *text, size_t size)
{
    size_t count = 0;

    for (size_t i = 0; i < size; i++) {
        count += text[i] == '\n' ? 1 : 0;
    }
    return count;
}

records records_read(const char *file)
{
    records all = {0};
    size_t size;
    char *at;

    all.text = read_file(file, &size);
    all.line_count = count_lines(all.text, size);
    all.rows = calloc(all.line_count + 1, sizeof(record));
    if (all.rows == NULL) {
        die(file, "no memory");
    }
    at = all.text;
    for (size_t i = 0; i < all.line_count; i++) {
        char *end = memchr(at, '\n', size - (size_t)(at - all.text));

        all.rows[i] = parse_line(at, (size_t)(end - at), i, file);
        at = end + 1;
    }
    keep_last_of_each(&all);
    return all;
}

void records_free(records *all)
{
    free(all->rows);
    free(all->text);
    *all = (records){0};
}

unsigned records_writer_of(size_t index)
{
    return (unsigned)(index % 2);
}

size_t records_value(const record *row, unsigned writer, edit last, char *value,
                     size_t capacity)
{
    size_t size = row->package.size;
    int more;

    if (size >= capacity) {
        die("a package", "its name is too long");
    }
    memcpy(value, row->package.data, size);
    if (last.number == 0) {
        return size;
    }
    more = snprintf(value + size, capacity - size,
                    ", edit %" PRIu32 " of writer %u", last.number, writer + 1);
    if (more < 0 || (size_t)more >= capacity - size) {
        die("a package", "its name is too long");
    }
    return size + (size_t)more;
}

bool records_edit_of(const record *row, unsigned writer, cask_slice value,
                     edit *ret_edit)
{
    static const char middle[] = ", edit ";
    const char *bytes = value.data;
    size_t at = row->package.size;
    edit found = {0};
    char want[512];

    if (value.size > at + strlen(middle)) {
        at += strlen(middle);
        while (at < value.size && bytes[at] >= '0' && bytes[at] <= '9') {
            found.number = found.number * 10 + (uint32_t)(bytes[at] - '0');
            at++;
        }
    }
    *ret_edit = found;
    /* What was read means something only if it gives the whole value. */
    return value.size ==
               records_value(row, writer, found, want, sizeof(want)) &&
           memcmp(want, bytes, value.size) == 0;
}
