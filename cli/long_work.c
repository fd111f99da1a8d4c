/*
 * Long calls of the library, see long_work.h.
 */
#include "long_work.h"

#include "signals.h"

void long_work_begin(long_work *work, const char *name, const char *if_ended,
                     const char *verb, const char *items)
{
    work->name = name;
    work->if_ended = if_ended;
    signals_catch();
    progress_start(&work->line, verb, items, 0);
}

bool long_work_goes_on(void *context, uint64_t done, uint64_t total)
{
    long_work *work = context;

    work->line.view.total = total;
    progress_update(&work->line, done, done);
    return signals_arrived() == 0;
}

void long_work_end(long_work *work)
{
    progress_stop(&work->line);
}

exit_status long_work_failed(const long_work *work, const char *subject,
                             const cask_error *err)
{
    return err->status == CASK_TIMEOUT && signals_arrived() != 0
               ? report(EXIT_DONE, "%s: interrupted; %s", work->name,
                        work->if_ended)
               : report_failure(subject, err);
}
