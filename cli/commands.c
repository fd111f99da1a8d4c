/*
 * The table of commands.
 */
#include "command.h"

#include <string.h>

/* clang-format off */ /* one on a line */
static const command *const rows[] = {
    &command_create,
    &command_put,
    &command_get,
    &command_delete,
    &command_delete_range,
    &command_exists,
    &command_ttl,
    &command_expire,
    &command_persist,
    &command_count,
    &command_load,
    &command_dump,
    &command_list,
    &command_scan,
    &command_stat,
    &command_verify,
    &command_backup,
    &command_repair,
    &command_sync,
    &command_merge,
    &command_config,
    &command_shell,
    &command_region,
    &command_run,
    &command_convert,
    &command_ingest,
    &command_import,
    &command_export,
    NULL,
};
/* clang-format on */

const command *const *command_table(void)
{
    return rows;
}

const command *command_find(const char *name)
{
    for (size_t i = 0; rows[i] != NULL; i++) {
        if (strcmp(rows[i]->name, name) == 0) {
            return rows[i];
        }
    }
    return NULL;
}
