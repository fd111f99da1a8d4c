/*
 * The system's cmocka.h, whose macro fail() without arguments would hide the
 * fail() of base/error.h: here the number of arguments tells them apart.
 * Found first by every test program.
 */
#pragma GCC system_header
#include_next <cmocka.h>
#undef fail
#define fail(...) CASK_TEST_FAIL##__VA_OPT__(_WITH)(__VA_ARGS__)
#define CASK_TEST_FAIL() _fail(__FILE__, __LINE__)
#define CASK_TEST_FAIL_WITH(...) (fail)(__VA_ARGS__)
