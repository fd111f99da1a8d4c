/*
 * Lines of the shell as words.
 */
#include "cask_test.h"

#include "shell_words.h"

#include <stdlib.h>
#include <string.h>

enum { WORD_MAX = 4 };

/* A line, and its words, each with a NUL behind; NULL: the line is wrong. */
typedef struct split_case {
    const char *line;
    size_t count;
    const char *words; /* joined, each with its NUL */
    size_t words_size;
} split_case;

#define WORDS(count, joined) count, joined, sizeof(joined)
#define WRONG 0, NULL, 0

static const split_case cases[] = {
    {"", WORDS(0, "")},
    {"   \t ", WORDS(0, "")},
    {"# put a b", WORDS(0, "")},
    {"  # put a b", WORDS(0, "")},
    {"get a", WORDS(2, "get\0a")},
    {"  get \t a  ", WORDS(2, "get\0a")},
    {"put a#b c", WORDS(3, "put\0a#b\0c")},
    {"put \"a b\" 'c d'", WORDS(3, "put\0a b\0c d")},
    {"put \"\" ''", WORDS(3, "put\0\0")},
    {"put a\"b c\"d'e f'", WORDS(2, "put\0ab cde f")},
    {"put \\x00\\xff \\t\\n\\r\\\\", WORDS(3, "put\0\0\xff\0\t\n\r\\")},
    {"put \"\\x41\\t\\\"\" '\\x41\"'", WORDS(3, "put\0A\t\"\0\\x41\"")},
    {"put a\\ b \\'\\\"\\#", WORDS(3, "put\0a b\0'\"#")},
    {"\\# x", WORDS(2, "#\0x")},
    {"a b c d", WORDS(4, "a\0b\0c\0d")},
    {"a b c d e", WRONG},
    {"put \"a", WRONG},
    {"put 'a", WRONG},
    {"put a\\", WRONG},
    {"put \"a\\", WRONG},
    {"put \\q", WRONG},
    {"put \\x4", WRONG},
};

static void test_lines_are_split_as_documented(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const split_case *want = &cases[i];
        size_t size = strlen(want->line);
        char *line = malloc(size + 1);
        shell_word words[WORD_MAX];
        size_t count = 99;
        const char *wrong;
        size_t at = 0;

        assert_non_null(line);
        memcpy(line, want->line, size + 1);
        wrong = shell_words_split(line, size, words, WORD_MAX, &count);
        assert_int_equal(wrong != NULL, want->words == NULL);
        assert_int_equal(count, wrong != NULL ? 99 : want->count);
        for (size_t j = 0; wrong == NULL && j < count; j++) {
            assert_true(at + words[j].size + 1 <= want->words_size);
            assert_memory_equal(words[j].data, want->words + at,
                                words[j].size + 1);
            at += words[j].size + 1;
        }
        if (wrong == NULL && count > 0) {
            assert_int_equal(at, want->words_size);
        }
        free(line);
    }
}

static void test_a_nul_in_the_line_is_a_byte_like_others(void **state)
{
    char line[] = "put a\0b c";
    shell_word words[WORD_MAX];
    size_t count = 0;

    (void)state;
    assert_null(
        shell_words_split(line, sizeof(line) - 1, words, WORD_MAX, &count));
    assert_int_equal(count, 3);
    assert_int_equal(words[1].size, 3);
    assert_memory_equal(words[1].data, "a\0b", 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_are_split_as_documented),
        cmocka_unit_test(test_a_nul_in_the_line_is_a_byte_like_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
