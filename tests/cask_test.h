/*
 * cmocka with what it needs, and without its macro fail(), which hides the
 * fail() of base/error.h. Include it first.
 */
#ifndef CASKADE_TESTS_CASK_TEST_H
#define CASKADE_TESTS_CASK_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#undef fail

#endif
