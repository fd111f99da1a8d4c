/*
 * The system's cmocka.h without its macro fail(), which hides the fail() of
 * base/error.h. Found first by every test program; use fail_msg().
 */
#pragma GCC system_header
#include_next <cmocka.h>
#undef fail
#undef fail_msg
#define fail_msg(...)                                                          \
    do {                                                                       \
        print_error("ERROR: ");                                                \
        print_error(__VA_ARGS__);                                              \
        print_error("\n");                                                     \
        _fail(__FILE__, __LINE__);                                             \
    } while (0)
