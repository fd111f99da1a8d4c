/*
 * The arguments of options: durations, choices, and what is wrong with them.
 */
#include "option.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "report.h"
#include "units.h"

error_t option_reject(struct argp_state *state, const char *format, ...)
{
    option_state *shared = state->hook;
    char message[256];
    va_list list;

    va_start(list, format);
    (void)vsnprintf(message, sizeof(message), format, list);
    va_end(list);
    (void)report(EXIT_USAGE, "%s: %s", shared->command, message);
    shared->reported = true;
    return EINVAL;
}

error_t option_take_duration(struct argp_state *state, const char *option,
                             const char *text, uint64_t min_ms,
                             uint64_t *ret_ms)
{
    uint64_t value;

    if (!units_parse_duration(text, &value) || value < min_ms) {
        return option_reject(state,
                             "%s: '%s' is no duration of at least %" PRIu64
                             " ms; write it like 90 (seconds), 500ms, 10s, "
                             "5m, 2h or 1d",
                             option, text, min_ms);
    }
    *ret_ms = value;
    return 0;
}

/* "none, interval or commit" */
static void list_choices(const choice *choices, char *list, size_t size)
{
    size_t used = 0;

    list[0] = '\0';
    for (const choice *at = choices; at->name != NULL; at++) {
        const char *before = at == choices        ? ""
                             : at[1].name == NULL ? " or "
                                                  : ", ";
        int length =
            snprintf(list + used, size - used, "%s%s", before, at->name);

        if (length < 0 || (size_t)length >= size - used) {
            return;
        }
        used += (size_t)length;
    }
}

error_t option_take_choice(struct argp_state *state, const char *option,
                           const char *text, const choice *choices,
                           int *ret_value)
{
    char list[128];

    for (const choice *at = choices; at->name != NULL; at++) {
        if (strcmp(at->name, text) == 0) {
            *ret_value = at->value;
            return 0;
        }
    }
    list_choices(choices, list, sizeof(list));
    return option_reject(state, "%s: '%s' is not known; give %s", option, text,
                         list);
}
