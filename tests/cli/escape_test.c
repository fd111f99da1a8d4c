/*
 * UTF-8, escapes and base64: the pieces that the formats are made of.
 */
#include "cask_test.h"

#include "base64.h"
#include "escape.h"
#include "utf8.h"

#include <string.h>

#define SLICE(literal) ((cask_slice){literal, sizeof(literal) - 1})

static void test_utf8_is_that_of_rfc_3629(void **state)
{
    static const char *const good[] = {
        "a",
        "\xc3\xa9",
        "\xe2\x82\xac",
        "\xf0\x9f\x98\x80",
        "\xc2\x80",
        "\xdf\xbf",
        "\xe0\xa0\x80",
        "\xed\x9f\xbf",
        "\xee\x80\x80",
        "\xef\xbf\xbf",
        "\xf0\x90\x80\x80",
        "\xf4\x8f\xbf\xbf",
        "",
    };
    static const char *const bad[] = {
        "\x80",             /* continuation alone */
        "\xc3",             /* truncated */
        "\xe2\x82",         /* truncated */
        "\xf0\x9f\x98",     /* truncated */
        "\xc0\x80",         /* overlong */
        "\xc1\xbf",         /* overlong */
        "\xe0\x9f\xbf",     /* overlong */
        "\xf0\x8f\xbf\xbf", /* overlong */
        "\xed\xa0\x80",     /* surrogate */
        "\xed\xbf\xbf",     /* surrogate */
        "\xf4\x90\x80\x80", /* above U+10FFFF */
        "\xf5\x80\x80\x80",
        "\xff",
        "\xfe",
        "a\xc3(",
        "\xe2(\xac",
        "\xe2\x82(",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(utf8_is_valid(good[i], strlen(good[i])));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(utf8_is_valid(bad[i], strlen(bad[i])));
    }
    assert_true(utf8_is_valid("a\0b", 3));
}

static void assert_escaped(cask_slice bytes, const char *want)
{
    text out = {0};

    escape_encode(bytes, &out);
    assert_false(out.failed);
    assert_int_equal(out.size, strlen(want));
    if (out.size > 0) {
        assert_memory_equal(out.data, want, out.size);
    }
    text_free(&out);
}

static void test_escapes_look_as_documented(void **state)
{
    (void)state;
    assert_escaped(SLICE(""), "");
    assert_escaped(SLICE("plain text"), "plain text");
    assert_escaped(SLICE("a\tb\nc\rd\\e"), "a\\tb\\nc\\rd\\\\e");
    assert_escaped(SLICE("\0\x1b\x7f"), "\\x00\\x1b\\x7f");
    assert_escaped(SLICE("caf\xc3\xa9"), "caf\xc3\xa9");
    assert_escaped(SLICE("\xff\xc3"), "\\xff\\xc3");
    /* U+009B starts a control sequence on some terminals; U+00A0 does not. */
    assert_escaped(SLICE("\xc2\x9b\xc2\xa0"), "\\xc2\\x9b\xc2\xa0");
}

static void assert_decodes(const char *escaped, cask_slice want)
{
    char bytes[64];
    size_t size = strlen(escaped);

    memcpy(bytes, escaped, size + 1);
    assert_null(escape_decode(bytes, &size));
    assert_int_equal(size, want.size);
    assert_memory_equal(bytes, want.data, want.size);
}

static void test_escapes_are_undone(void **state)
{
    (void)state;
    assert_decodes("a\\tb\\nc\\rd\\\\e", SLICE("a\tb\nc\rd\\e"));
    assert_decodes("\\x00\\xfF\\xAb", SLICE("\0\xff\xab"));
    /* A doubled backslash does not begin what follows it. */
    assert_decodes("\\\\x41\\\\t", SLICE("\\x41\\t"));
    /* Bytes that need no escape stand for themselves. */
    assert_decodes("\xff\x01", SLICE("\xff\x01"));
}

static void test_other_backslashes_are_refused(void **state)
{
    static const char *const cases[] = {
        "\\",    "a\\",   "\\q",    "\\x", "\\x4", "\\xg0",
        "\\x0g", "\\X41", "\\\\\\", "\\0", "\\T",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char bytes[16];
        size_t size = strlen(cases[i]);

        memcpy(bytes, cases[i], size + 1);
        assert_non_null(escape_decode(bytes, &size));
    }
}

static void assert_base64(cask_slice bytes, const char *want)
{
    text encoded = {0};
    text decoded = {0};

    base64_encode(bytes, &encoded);
    assert_int_equal(encoded.size, strlen(want));
    if (encoded.size > 0) {
        assert_memory_equal(encoded.data, want, encoded.size);
    }
    assert_true(base64_decode(text_slice(&encoded), &decoded));
    assert_int_equal(decoded.size, bytes.size);
    if (decoded.size > 0) {
        assert_memory_equal(decoded.data, bytes.data, bytes.size);
    }
    text_free(&encoded);
    text_free(&decoded);
}

static void test_base64_is_that_of_rfc_4648(void **state)
{
    (void)state;
    assert_base64(SLICE(""), "");
    assert_base64(SLICE("f"), "Zg==");
    assert_base64(SLICE("fo"), "Zm8=");
    assert_base64(SLICE("foo"), "Zm9v");
    assert_base64(SLICE("foobar"), "Zm9vYmFy");
    assert_base64(SLICE("\xff\xfe\xfb\xef\0"), "//777wA=");
}

static void test_only_one_spelling_of_base64_is_accepted(void **state)
{
    static const char *const cases[] = {
        "Z",    "Zg",     "Zg=",  "Zg==Zg==", "Zh==", "Zm9=", "Z===",
        "====", "Zm9v\n", "Zm 9", "Zm-_",     "Z=g=", "Zg=a", "=Zg=",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        text decoded = {0};

        assert_false(
            base64_decode((cask_slice){cases[i], strlen(cases[i])}, &decoded));
        text_free(&decoded);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf8_is_that_of_rfc_3629),
        cmocka_unit_test(test_escapes_look_as_documented),
        cmocka_unit_test(test_escapes_are_undone),
        cmocka_unit_test(test_other_backslashes_are_refused),
        cmocka_unit_test(test_base64_is_that_of_rfc_4648),
        cmocka_unit_test(test_only_one_spelling_of_base64_is_accepted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
