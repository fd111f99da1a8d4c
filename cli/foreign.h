/*
 * What import and export check alike: the name of the other format, and that
 * two directories are apart.
 */
#ifndef CASKADE_CLI_FOREIGN_H
#define CASKADE_CLI_FOREIGN_H

#include "report.h"

/* Report, for `command`, a format that is not known. */
exit_status foreign_check_format(const char *command, const char *format);

/*
 * Report if `to`, which need not exist, is `from` or inside it: what is written
 * to one would change the other.
 *
 *   from_name, to_name  for messages: "SRC", "DIR"
 */
exit_status foreign_check_apart(const char *from_name, const char *from,
                                const char *to_name, const char *to);

#endif
