/*
 * The system's cmocka.h without its macro fail(), which hides the fail() of
 * base/error.h. Found first by every test program.
 */
#pragma GCC system_header
#include_next <cmocka.h>
#undef fail
