/*
 * What must be CASK_OK.
 */
#ifndef CASKADE_TESTS_REQUIRE_H
#define CASKADE_TESTS_REQUIRE_H

#include "cask_test.h"

#include "caskade.h"

/* Fail the test, with the message, unless it is CASK_OK. */
static inline void require_ok(cask_status status, const cask_error *err)
{
    if (status != CASK_OK) {
        fail_msg("%s: %s", cask_status_name(status), err->message);
    }
}

#endif
