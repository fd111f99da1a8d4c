/*
 * Keys and values that prove themselves, and the notes about them.
 */
#define _GNU_SOURCE
#include "kill_share.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void kill_fail(kill_share *share, const char *format, ...)
{
    if (!atomic_exchange(&share->failed, true)) {
        va_list arguments;

        va_start(arguments, format);
        (void)vsnprintf(share->message, sizeof(share->message), format,
                        arguments);
        va_end(arguments);
    }
    _exit(1);
}

void kill_check(kill_share *share, cask_status status, const char *what,
                const cask_error *err)
{
    if (status != CASK_OK) {
        kill_fail(share, "%s: %s: %s", what, cask_status_name(status),
                  err->message);
    }
}

cask_slice kill_owned(char text[KEY_BYTES], unsigned writer, unsigned key)
{
    (void)snprintf(text, KEY_BYTES, "owned-%u-%u", writer, key);
    return cask_slice_of(text);
}

cask_slice kill_unique(char text[KEY_BYTES], unsigned writer, uint64_t number)
{
    (void)snprintf(text, KEY_BYTES, "unique-%u-%" PRIu64, writer, number);
    return cask_slice_of(text);
}

cask_slice kill_counter(char text[KEY_BYTES], unsigned counter)
{
    (void)snprintf(text, KEY_BYTES, "counter-%u", counter);
    return cask_slice_of(text);
}

cask_slice kill_hello(char text[KEY_BYTES], unsigned writer)
{
    (void)snprintf(text, KEY_BYTES, "hello-%u", writer);
    return cask_slice_of(text);
}

bool kill_is_delete(const kill_share *share, unsigned writer, unsigned key,
                    uint64_t version)
{
    uint64_t mixed = test_mix(share->seed ^ test_mix(version * 4096 + key) ^
                              (uint64_t)writer << 50);

    return version > 1 && mixed % 5 == 0;
}

bool kill_is_put(const kill_share *share, unsigned writer, unsigned key,
                 uint64_t version)
{
    return version != 0 && !kill_is_delete(share, writer, key, version);
}

/* Mostly small, some larger than a page, few larger than a segment, or than
 * what is written through the map. */
static size_t value_size(uint64_t mixed, bool small)
{
    size_t size = 16 + mixed % 90;
    uint64_t kind = (mixed >> 32) % 4000;

    if (!small && kind < 80) {
        size = 4000 + (mixed >> 16) % 4000;
    } else if (!small && kind < 84) {
        size = 66000 + (mixed >> 16) % 4000;
    } else if (!small && kind < 85) {
        size = 300000;
    }
    return size;
}

cask_slice kill_value(const kill_share *share, cask_slice key, uint64_t version,
                      uint8_t *memory)
{
    const uint8_t *text = key.data;
    uint64_t word = share->seed ^ version * 31;
    size_t size;

    for (size_t i = 0; i < key.size; i++) {
        word = word * 131 + text[i];
    }
    word = test_mix(word);
    size = value_size(word, text[0] != 'o');
    memcpy(memory, &version, sizeof(version));
    for (size_t at = sizeof(version); at < size; at += sizeof(word)) {
        word = word * UINT64_C(6364136223846793005) + 1442695040888963407;
        memcpy(memory + at, &word, sizeof(word));
    }
    return (cask_slice){memory, size};
}

uint64_t kill_version(kill_share *share, cask_slice key, cask_slice value,
                      uint8_t *memory)
{
    uint64_t version = 0;
    cask_slice right;

    if (value.size < sizeof(version)) {
        kill_fail(share, "%.*s: a value of %zu bytes", (int)key.size,
                  (const char *)key.data, value.size);
    }
    memcpy(&version, value.data, sizeof(version));
    right = kill_value(share, key, version, memory);
    if (right.size != value.size ||
        memcmp(right.data, value.data, value.size) != 0) {
        kill_fail(share, "%.*s: bytes of version %" PRIu64 " are wrong",
                  (int)key.size, (const char *)key.data, version);
    }
    return version;
}

void kill_raise(_Atomic uint64_t *word, uint64_t value)
{
    uint64_t now = atomic_load(word);

    while (now < value && !atomic_compare_exchange_weak(word, &now, value)) {
    }
}

static bool is_tree;

void kill_choose(int count, char **arguments)
{
    is_tree = count > 1 && strcmp(arguments[1], "tree") == 0;
}

bool kill_is_tree(void)
{
    return is_tree;
}

void kill_begin_options(cask_options *ret_options)
{
    cask_options_init(ret_options);
    if (kill_is_tree()) {
        ret_options->engine = CASK_ENGINE_TREE;
    }
}

cask_options kill_options(test_random *random)
{
    cask_options options;

    kill_begin_options(&options);
    options.create_if_missing = true;
    options.lock_timeout_ms = BOUND_SECONDS * 500;
    options.sync = (cask_sync_policy)test_random_next(random, 3);
    options.sync_interval_ms = 1 + (uint32_t)test_random_next(random, 40);
    options.append = (cask_append)test_random_next(random, 3);
    options.io = (cask_io)test_random_next(random, 2);
    options.max_descriptors = 8;
    options.segment_max_bytes = UINT64_C(65536) << test_random_next(random, 2);
    options.small_file_threshold_bytes =
        test_random_chance(random, 50) ? 0 : 10 << 20;
    options.linger = test_random_chance(random, 20);
    options.verify_overwrite = test_random_chance(random, 20);
    options.huge_pages = test_random_chance(random, 20);
    if (kill_is_tree()) {
        options.io = CASK_IO_MAP;
        options.memtable_bytes = UINT64_C(65536) << test_random_next(random, 4);
    }
    return options;
}

uint64_t kill_now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}
