/*
 * cmocka and the headers that it needs before it.
 */
#ifndef CASKADE_TESTS_CASK_TEST_H
#define CASKADE_TESTS_CASK_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
