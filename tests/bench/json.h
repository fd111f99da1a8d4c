/*
 * The least of JSON that a test needs: is it well-formed?
 */
#ifndef CASKADE_TESTS_BENCH_JSON_H
#define CASKADE_TESTS_BENCH_JSON_H

#include <stdbool.h>

/* Whether `text` is one JSON object and nothing else (RFC 8259; escapes other
 * than \" and \\ are refused, the program prints none). */
bool json_is_object(const char *text);

#endif
