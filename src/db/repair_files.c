/*
 * Repair: reading files of which some blocks may be unreadable. Into memory,
 * not mapped: failing media must not end the program.
 */
#include "db/repair.h"

#include "log/segment.h"

enum { PIECE_BYTES = 1 << 20, BLOCK_BYTES = 4096 };

/* Piece by piece, and where one fails, block by block: a block that cannot be
 * read stays zero, and zeros are no record. */
static void read_pieces(os_file *file, repair_bytes *bytes, uint64_t from,
                        uint64_t to, uint64_t piece)
{
    while (from < to) {
        uint64_t size = to - from < piece ? to - from : piece;
        size_t got;

        if (file->os->ops->read_at(file, bytes->data + from, size, from,
                                   &got) != 0 &&
            piece > BLOCK_BYTES) {
            read_pieces(file, bytes, from, from + size, BLOCK_BYTES);
        }
        from += size;
    }
}

cask_status repair_load(const repair *r, const char *name,
                        repair_bytes *ret_bytes, cask_error *err)
{
    const os_ops *ops = r->kernel->ops;
    os_file *file = NULL;
    void *memory = NULL;
    cask_status status;
    os_stat stat;

    *ret_bytes = (repair_bytes){NULL, 0};
    status = file_open(r->dir, name, OS_READ, &file, &stat, err);
    if (status != CASK_OK || stat.size == 0) {
        ops->close(file);
        return status;
    }
    if (ops->map_private(r->kernel, stat.size, &memory) != 0) {
        ops->close(file);
        return fail_memory(err, stat.size);
    }
    *ret_bytes = (repair_bytes){memory, stat.size};
    read_pieces(file, ret_bytes, 0, stat.size, PIECE_BYTES);
    ops->close(file);
    return CASK_OK;
}

void repair_unload(const repair *r, repair_bytes *bytes)
{
    r->kernel->ops->unmap(r->kernel, bytes->data, bytes->size);
    *bytes = (repair_bytes){NULL, 0};
}
