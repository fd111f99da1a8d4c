/*
 * os_sim: what survives a power failure. Each test does the same thing many
 * times, crashes with another seed each time, and looks at the set of
 * outcomes: none may be outside what is allowed, and each that is allowed must
 * occur, or the simulator would prove nothing.
 */
#include "place.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SEEDS = 400, SECTOR = 512 };

/* Lose power, come back, open the directory again. */
static void crash(place *at, uint64_t seed)
{
    at->os->ops->close(at->dir);
    assert_int_equal(os_sim_crash(at->sim, test_seed() + seed), 0);
    assert_int_equal(at->os->ops->open_dir(at->os, "/store", &at->dir), 0);
}

/* An empty, durable directory again. */
static void clear(place *at)
{
    char name[2] = {'a', '\0'};

    for (; name[0] <= 'z'; name[0]++) {
        int error = at->os->ops->remove(at->dir, name);
        assert_true(error == 0 || error == ENOENT);
    }
    assert_int_equal(os_sim_sync_all(at->sim), 0);
}

/* A sector full of one letter. */
static void put_sector(os_file *file, char letter, uint64_t index)
{
    char bytes[SECTOR];

    memset(bytes, letter, SECTOR);
    put_bytes(file, bytes, SECTOR, index * SECTOR);
}

/* The letter that fills a sector; '0' for zeros, '!' for a mixture. */
static char sector_of(os_file *file, uint64_t index)
{
    char bytes[SECTOR] = "";
    size_t got = 0;

    assert_int_equal(
        file->os->ops->read_at(file, bytes, SECTOR, index * SECTOR, &got), 0);
    if (got == 0) {
        return '-'; /* beyond the end */
    }
    for (size_t i = 1; i < got; i++) {
        if (bytes[i] != bytes[0]) {
            return '!';
        }
    }
    return bytes[0] == '\0' ? '0' : bytes[0];
}

static uint64_t size_of(os_file *file)
{
    os_stat entry;

    assert_int_equal(file->os->ops->stat(file, &entry), 0);
    return entry.size;
}

/* --- bytes ---------------------------------------------------------------- */

static void test_what_was_synced_survives(void **state)
{
    place *at = *state;

    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        os_file *file = create_file(at->dir, "f");
        char *memory = NULL;
        put_text(file, "written", 0);
        assert_int_equal(at->os->ops->allocate(file, 0, 5000), 0);
        assert_int_equal(
            at->os->ops->map(file, 0, 8192, true, (void **)&memory), 0);
        memset(memory + 4990, 'm', 6);
        assert_int_equal(at->os->ops->sync(file), 0);
        assert_int_equal(at->os->ops->sync_dir(at->dir), 0);
        at->os->ops->unmap(at->os, memory, 8192);
        at->os->ops->close(file);
        crash(at, seed);
        file = open_file(at->dir, "f");
        char bytes[7];
        size_t got;
        assert_int_equal(size_of(file), 5000);
        assert_int_equal(at->os->ops->read_at(file, bytes, 7, 0, &got), 0);
        assert_memory_equal(bytes, "written", 7);
        assert_int_equal(at->os->ops->read_at(file, bytes, 6, 4990, &got), 0);
        assert_memory_equal(bytes, "mmmmmm", 6);
        at->os->ops->close(file);
        clear(at);
        assert_int_equal(at->os->ops->remove(at->dir, "f"), ENOENT);
    }
}

/* Two rewritten sectors: all four outcomes, and nothing else. */
static void test_an_unsynced_sector_is_old_or_new(void **state)
{
    place *at = *state;
    unsigned seen[4] = {0};

    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        os_file *file = create_file(at->dir, "f");
        put_sector(file, 'o', 0);
        put_sector(file, 'o', 1);
        put_sector(file, 'k', 2);
        put_sector(file, 'o', 3);
        assert_int_equal(os_sim_sync_all(at->sim), 0);
        put_sector(file, 'n', 0);
        put_sector(file, 'k', 2); /* the same again: unchanged */
        put_sector(file, 'n', 3);
        at->os->ops->close(file);
        crash(at, seed);
        file = open_file(at->dir, "f");
        char first = sector_of(file, 0);
        char last = sector_of(file, 3);
        assert_true(first == 'o' || first == 'n');
        assert_true(last == 'o' || last == 'n');
        assert_int_equal(sector_of(file, 1), 'o');
        assert_int_equal(sector_of(file, 2), 'k');
        assert_int_equal(size_of(file), 4 * SECTOR);
        seen[(first == 'n' ? 1 : 0) + (last == 'n' ? 2 : 0)]++;
        at->os->ops->close(file);
        clear(at);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_true(seen[i] > SEEDS / 20);
    }
}

static void test_stores_through_a_map_are_lost_likewise(void **state)
{
    place *at = *state;
    unsigned survivors = 0;

    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        os_file *file = create_file(at->dir, "f");
        char *memory = NULL;
        assert_int_equal(at->os->ops->allocate(file, 0, 4096), 0);
        assert_int_equal(
            at->os->ops->map(file, 0, 4096, true, (void **)&memory), 0);
        assert_int_equal(os_sim_sync_all(at->sim), 0);
        memset(memory + SECTOR, 'm', SECTOR);
        /* Unmapping and closing sync nothing. */
        at->os->ops->unmap(at->os, memory, 4096);
        at->os->ops->close(file);
        crash(at, seed);
        file = open_file(at->dir, "f");
        char letter = sector_of(file, 1);
        assert_true(letter == '0' || letter == 'm');
        assert_int_equal(sector_of(file, 0), '0');
        survivors += letter == 'm' ? 1 : 0;
        at->os->ops->close(file);
        clear(at);
    }
    assert_true(survivors > SEEDS / 10 && survivors < SEEDS * 9 / 10);
}

/*
 * Sixteen new sectors: a hole before what survived must occur (the kernel
 * writes back in any order), and a file that is long and empty.
 */
static void test_appended_bytes_come_back_torn(void **state)
{
    place *at = *state;
    unsigned holes = 0;
    unsigned empty_but_long = 0;
    unsigned between = 0;
    unsigned complete = 0;

    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        os_file *file = create_file(at->dir, "f");
        put_sector(file, 'k', 0);
        assert_int_equal(os_sim_sync_all(at->sim), 0);
        for (uint64_t i = 1; i < 16; i++) {
            put_sector(file, (char)('a' + i), i);
        }
        at->os->ops->close(file);
        crash(at, seed);
        file = open_file(at->dir, "f");
        uint64_t size = size_of(file);
        unsigned there = 0;
        bool hole = false;
        assert_int_equal(sector_of(file, 0), 'k');
        assert_in_range(size, SECTOR, 16 * SECTOR);
        for (uint64_t i = 1; (i + 1) * SECTOR <= size; i++) {
            char letter = sector_of(file, i);
            assert_true(letter == '0' || letter == (char)('a' + i));
            hole = hole || (letter != '0' && there + 1 < i);
            there += letter != '0' ? 1 : 0;
        }
        holes += hole ? 1 : 0;
        empty_but_long += size == 16 * SECTOR && there == 0 ? 1 : 0;
        between += size > SECTOR && size < 16 * SECTOR ? 1 : 0;
        complete += there == 15 ? 1 : 0;
        at->os->ops->close(file);
        clear(at);
    }
    assert_true(holes > SEEDS / 20);
    assert_true(empty_but_long > SEEDS / 50);
    assert_true(between > SEEDS / 20);
    assert_true(complete > SEEDS / 50);
}

static void test_shortening_happens_or_does_not(void **state)
{
    place *at = *state;
    unsigned seen[2] = {0};

    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        os_file *file = create_file(at->dir, "f");
        put_sector(file, 'a', 0);
        put_sector(file, 'b', 1);
        assert_int_equal(os_sim_sync_all(at->sim), 0);
        assert_int_equal(at->os->ops->truncate(file, SECTOR), 0);
        at->os->ops->close(file);
        crash(at, seed);
        file = open_file(at->dir, "f");
        uint64_t size = size_of(file);
        assert_true(size == SECTOR || size == 2 * SECTOR);
        assert_int_equal(sector_of(file, 0), 'a');
        assert_int_equal(sector_of(file, 1), size == SECTOR ? '-' : 'b');
        seen[size / SECTOR - 1]++;
        at->os->ops->close(file);
        clear(at);
    }
    assert_true(seen[0] > SEEDS / 10);
    assert_true(seen[1] > SEEDS / 10);
}

/* What a synced shortening took away never shows again. */
static void test_a_synced_shortening_is_for_ever(void **state)
{
    place *at = *state;

    for (uint64_t seed = 0; seed < SEEDS / 4; seed++) {
        os_file *file = create_file(at->dir, "f");
        put_sector(file, 'o', 0);
        put_sector(file, 'o', 1);
        assert_int_equal(os_sim_sync_all(at->sim), 0);
        assert_int_equal(at->os->ops->truncate(file, SECTOR), 0);
        assert_int_equal(at->os->ops->sync(file), 0);
        assert_int_equal(at->os->ops->allocate(file, 0, 3 * SECTOR), 0);
        at->os->ops->close(file);
        crash(at, seed);
        file = open_file(at->dir, "f");
        assert_int_equal(sector_of(file, 0), 'o');
        assert_true(sector_of(file, 1) == '0' || sector_of(file, 1) == '-');
        at->os->ops->close(file);
        clear(at);
    }
}

/* Cut to nothing, then written anew: never the old tail behind new bytes. */
static void test_a_rewritten_file_shows_no_old_tail(void **state)
{
    place *at = *state;

    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        os_file *file = create_file(at->dir, "f");
        for (uint64_t i = 0; i < 4; i++) {
            put_sector(file, 'o', i);
        }
        assert_int_equal(os_sim_sync_all(at->sim), 0);
        assert_int_equal(at->os->ops->truncate(file, 0), 0);
        put_sector(file, 'n', 0);
        put_sector(file, 'n', 3);
        at->os->ops->close(file);
        crash(at, seed);
        file = open_file(at->dir, "f");
        bool old = false;
        bool new = false;
        for (uint64_t i = 0; i < 4; i++) {
            char letter = sector_of(file, i);
            assert_true(letter != '!' || i * SECTOR < size_of(file));
            old = old || letter == 'o';
            new = new || letter == 'n';
        }
        assert_false(old && new);
        at->os->ops->close(file);
        clear(at);
    }
}

/* --- names
 * -------------------------------------------------------------------- */

static void test_a_name_is_durable_only_by_sync_dir(void **state)
{
    place *at = *state;
    unsigned lost = 0;
    unsigned kept = 0;

    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        os_file *file = create_file(at->dir, "a");
        put_text(file, "synced", 0);
        assert_int_equal(at->os->ops->sync(file), 0);
        at->os->ops->close(file);
        crash(at, seed);
        if (name_exists(at->dir, "a")) {
            assert_true(name_has_text(at->dir, "a", "synced"));
            kept++;
        } else {
            lost++;
        }
        clear(at);
    }
    assert_true(kept > SEEDS / 10);
    assert_true(lost > SEEDS / 10);
}

static void test_new_names_survive_in_any_combination(void **state)
{
    place *at = *state;
    unsigned seen[8] = {0};

    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        unsigned combination = 0;
        for (unsigned i = 0; i < 3; i++) {
            char name[2] = {(char)('a' + i), '\0'};
            at->os->ops->close(create_file(at->dir, name));
        }
        crash(at, seed);
        for (unsigned i = 0; i < 3; i++) {
            char name[2] = {(char)('a' + i), '\0'};
            combination |= name_exists(at->dir, name) ? 1U << i : 0;
        }
        seen[combination]++;
        clear(at);
    }
    for (size_t i = 0; i < 8; i++) {
        assert_true(seen[i] > 0);
    }
}

static void test_a_rename_happens_as_a_whole(void **state)
{
    place *at = *state;
    unsigned old = 0;
    unsigned new = 0;

    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        os_file *file = create_file(at->dir, "a");
        put_text(file, "old", 0);
        at->os->ops->close(file);
        file = create_file(at->dir, "b");
        put_text(file, "new", 0);
        at->os->ops->close(file);
        assert_int_equal(os_sim_sync_all(at->sim), 0);
        assert_int_equal(at->os->ops->rename(at->dir, "b", "a"), 0);
        crash(at, seed);
        if (name_exists(at->dir, "b")) {
            assert_true(name_has_text(at->dir, "a", "old"));
            assert_true(name_has_text(at->dir, "b", "new"));
            old++;
        } else {
            assert_true(name_has_text(at->dir, "a", "new"));
            new ++;
        }
        clear(at);
    }
    assert_true(old > SEEDS / 10);
    assert_true(new > SEEDS / 10);
}

/* A second name is lost or there, and the first stays in either case. */
static void test_a_link_needs_its_own_directory_sync(void **state)
{
    place *at = *state;
    unsigned lost = 0;
    unsigned there = 0;

    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        os_file *file = create_file(at->dir, "a");
        put_text(file, "text", 0);
        at->os->ops->close(file);
        assert_int_equal(os_sim_sync_all(at->sim), 0);
        assert_int_equal(at->os->ops->link(at->dir, "a", at->dir, "b"), 0);
        crash(at, seed);
        assert_true(name_has_text(at->dir, "a", "text"));
        if (name_exists(at->dir, "b")) {
            assert_true(name_has_text(at->dir, "b", "text"));
            there++;
        } else {
            lost++;
        }
        clear(at);
    }
    assert_true(lost > SEEDS / 10);
    assert_true(there > SEEDS / 10);
}

/* Of two files removed in order, any one may come back, content and all. */
static void test_a_removed_file_may_come_back(void **state)
{
    place *at = *state;
    unsigned seen[4] = {0};

    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        unsigned combination = 0;
        for (unsigned i = 0; i < 2; i++) {
            char name[2] = {(char)('a' + i), '\0'};
            os_file *file = create_file(at->dir, name);
            put_text(file, name, 0);
            at->os->ops->close(file);
        }
        assert_int_equal(os_sim_sync_all(at->sim), 0);
        assert_int_equal(at->os->ops->remove(at->dir, "a"), 0);
        assert_int_equal(at->os->ops->remove(at->dir, "b"), 0);
        crash(at, seed);
        for (unsigned i = 0; i < 2; i++) {
            char name[2] = {(char)('a' + i), '\0'};
            if (name_exists(at->dir, name)) {
                assert_true(name_has_text(at->dir, name, name));
                combination |= 1U << i;
            }
        }
        seen[combination]++;
        clear(at);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_true(seen[i] > SEEDS / 50);
    }
}

static void test_sync_dir_settles_names(void **state)
{
    place *at = *state;

    for (uint64_t seed = 0; seed < SEEDS / 4; seed++) {
        at->os->ops->close(create_file(at->dir, "a"));
        at->os->ops->close(create_file(at->dir, "b"));
        assert_int_equal(at->os->ops->rename(at->dir, "b", "c"), 0);
        assert_int_equal(at->os->ops->remove(at->dir, "a"), 0);
        assert_int_equal(at->os->ops->sync_dir(at->dir), 0);
        crash(at, seed);
        assert_false(name_exists(at->dir, "a"));
        assert_false(name_exists(at->dir, "b"));
        assert_true(name_exists(at->dir, "c"));
        clear(at);
    }
}

static void test_a_directory_needs_its_parent_synced(void **state)
{
    place *at = *state;
    unsigned lost = 0;

    for (uint64_t seed = 0; seed < SEEDS / 4; seed++) {
        char path[] = "/store/a";
        os_file *inner = NULL;
        assert_int_equal(at->os->ops->make_dir(at->os, path, 0700), 0);
        assert_int_equal(at->os->ops->open_dir(at->os, path, &inner), 0);
        at->os->ops->close(create_file(inner, "file"));
        assert_int_equal(at->os->ops->sync_dir(inner), 0);
        at->os->ops->close(inner);
        crash(at, seed);
        if (at->os->ops->open_dir(at->os, path, &inner) == 0) {
            assert_true(name_exists(inner, "file"));
            at->os->ops->close(inner);
        } else {
            lost++;
        }
        (void)place_teardown(state);
        (void)place_setup_sim(state);
        at = *state;
    }
    assert_true(lost > SEEDS / 40 && lost < SEEDS / 4);
}

/* --- shared memory, boot
 * --------------------------------------------------------- */

static bool shm_file_survives(bool boot_survives, bool *ret_same_boot)
{
    os_sim_options options = {.boot_survives = boot_survives};
    os_sim *sim = NULL;
    os_file *dir = NULL;
    os_file *file;
    uint8_t before[16];
    uint8_t after[16];
    bool there;
    os *self;

    assert_int_equal(os_sim_create(&options, &sim), 0);
    self = os_sim_os(sim);
    assert_int_equal(self->ops->boot_id(self, before), 0);
    assert_int_equal(self->ops->open_dir(self, "/dev/shm", &dir), 0);
    file = create_file(dir, "f");
    put_text(file, "shared", 0);
    self->ops->close(file);
    self->ops->close(dir);
    assert_int_equal(os_sim_sync_all(sim), 0);
    assert_int_equal(os_sim_crash(sim, 3), 0);
    assert_int_equal(self->ops->boot_id(self, after), 0);
    *ret_same_boot = memcmp(before, after, sizeof(before)) == 0;
    assert_int_equal(self->ops->open_dir(self, "/dev/shm", &dir), 0);
    there = name_has_text(dir, "f", "shared");
    self->ops->close(dir);
    os_sim_free(sim);
    return there;
}

static void test_shared_memory_lives_as_long_as_the_boot(void **state)
{
    bool same_boot = false;

    (void)state;
    assert_false(shm_file_survives(false, &same_boot));
    assert_false(same_boot);
    assert_true(shm_file_survives(true, &same_boot));
    assert_true(same_boot);
}

/* --- options
 * ------------------------------------------------------------------------ */

typedef struct outcomes {
    unsigned of[128]; /* by what sector_of() says about sector 1 */
} outcomes;

/*
 * Sector 1 of "f" goes 'o' (synced), 'm', 'n' (not synced) with other changes
 * in between; sector 1 of "g" is never synced and 'g'; "s" holds 's'.
 */
static void collect(os_sim_options options, outcomes *old, outcomes *fresh)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        os_sim *sim = NULL;
        os_file *dir = NULL;
        os_file *f;
        os_file *g;
        options.seed = test_seed() + seed;
        assert_int_equal(os_sim_create(&options, &sim), 0);
        os *self = os_sim_os(sim);
        assert_int_equal(self->ops->open_dir(self, "/", &dir), 0);
        f = create_file(dir, "s");
        put_sector(f, 's', 0);
        put_sector(f, 's', 1);
        self->ops->close(f);
        f = create_file(dir, "f");
        g = create_file(dir, "g");
        put_sector(f, 'k', 0);
        put_sector(f, 'o', 1);
        assert_int_equal(os_sim_sync_all(sim), 0);
        put_sector(f, 'm', 1);
        put_sector(g, 'g', 1);
        put_sector(f, 'n', 1);
        self->ops->close(f);
        self->ops->close(g);
        self->ops->close(dir);
        assert_int_equal(os_sim_crash(sim, seed), 0);
        assert_int_equal(self->ops->open_dir(self, "/", &dir), 0);
        f = open_file(dir, "f");
        g = open_file(dir, "g");
        assert_int_equal(sector_of(f, 0), 'k');
        old->of[(size_t)sector_of(f, 1)]++;
        fresh->of[(size_t)sector_of(g, 1)]++;
        self->ops->close(f);
        self->ops->close(g);
        self->ops->close(dir);
        os_sim_free(sim);
    }
}

static void test_without_options_nothing_strange_happens(void **state)
{
    outcomes old = {{0}};
    outcomes fresh = {{0}};

    (void)state;
    collect((os_sim_options){0}, &old, &fresh);
    assert_int_equal(old.of['o'] + old.of['n'], SEEDS);
    assert_int_equal(fresh.of['s'], 0);
}

static void test_writeback_makes_versions_between_survive(void **state)
{
    outcomes old = {{0}};
    outcomes fresh = {{0}};

    (void)state;
    collect((os_sim_options){.writeback_percent = 50}, &old, &fresh);
    assert_int_equal(old.of['o'] + old.of['m'] + old.of['n'], SEEDS);
    assert_true(old.of['m'] > 0);
    assert_true(old.of['o'] > 0);
    assert_true(old.of['n'] > 0);
}

static void test_torn_sectors_are_an_option(void **state)
{
    outcomes old = {{0}};
    outcomes fresh = {{0}};

    (void)state;
    collect((os_sim_options){.torn_sectors = true}, &old, &fresh);
    assert_int_equal(old.of['o'] + old.of['n'] + old.of['!'], SEEDS);
    assert_true(old.of['!'] > SEEDS / 20);
}

static void test_stale_sectors_are_an_option(void **state)
{
    outcomes old = {{0}};
    outcomes fresh = {{0}};

    (void)state;
    collect((os_sim_options){.stale_sectors = true}, &old, &fresh);
    assert_int_equal(old.of['o'] + old.of['n'], SEEDS);
    assert_true(fresh.of['s'] > SEEDS / 50);
}

static void test_one_seed_gives_one_result(void **state)
{
    outcomes old[2] = {{{0}}};
    outcomes fresh[2] = {{{0}}};
    os_sim_options options = {
        .writeback_percent = 30, .torn_sectors = true, .stale_sectors = true};

    (void)state;
    collect(options, &old[0], &fresh[0]);
    collect(options, &old[1], &fresh[1]);
    assert_memory_equal(&old[0], &old[1], sizeof(old[0]));
    assert_memory_equal(&fresh[0], &fresh[1], sizeof(fresh[0]));
}

/* --- a whole story
 * -------------------------------------------------------------------- */

typedef struct journal {
    unsigned acknowledged; /* lines that were promised */
} journal;

/* Append lines of one sector; acknowledge each after its sync. */
static int append_lines(place *at, bool with_sync, journal *noted)
{
    const os_ops *ops = at->os->ops;
    os_file *file = NULL;
    int error =
        ops->open(at->dir, "a", OS_READ | OS_WRITE | OS_CREATE, 0600, &file);

    if (error == 0) {
        error = ops->sync_dir(at->dir);
    }
    for (unsigned line = 0; error == 0 && line < 5; line++) {
        char bytes[SECTOR];
        os_span span = {.data = bytes, .size = SECTOR};
        memset(bytes, (int)('a' + line), SECTOR);
        error = ops->write_at(file, &span, 1, line * SECTOR);
        if (error == 0 && with_sync) {
            error = ops->sync(file);
        }
        noted->acknowledged += error == 0 ? 1 : 0;
    }
    ops->close(file);
    return error;
}

/* Lines that are there without a gap. */
static unsigned count_lines(place *at)
{
    unsigned count = 0;
    os_file *file;

    if (!name_exists(at->dir, "a")) {
        return 0;
    }
    file = open_file(at->dir, "a");
    while (sector_of(file, count) == (char)('a' + count)) {
        count++;
    }
    at->os->ops->close(file);
    return count;
}

/*
 * Cut before operation 0, 1, ... until the story ends by itself. Returns how
 * many crashes lost an acknowledged line; *ret_cuts: where the end was.
 */
static unsigned run_story(bool with_sync, uint64_t *ret_cuts)
{
    unsigned broken = 0;

    for (uint64_t cut_at = 0;; cut_at++) {
        bool complete = false;
        for (uint64_t seed = 0; seed < 50; seed++) {
            journal noted = {0};
            void *state = NULL;
            place *at;
            assert_int_equal(place_setup_sim(&state), 0);
            at = state;
            os_sim_cut_at(at->sim, os_sim_operations(at->sim) + cut_at);
            (void)append_lines(at, with_sync, &noted);
            complete = !os_sim_is_cut(at->sim);
            crash(at, seed);
            broken += count_lines(at) < noted.acknowledged ? 1 : 0;
            assert_int_equal(place_teardown(&state), 0);
        }
        if (complete) {
            *ret_cuts = cut_at;
            return broken;
        }
    }
}

static void test_a_sweep_of_cuts_proves_a_sync(void **state)
{
    uint64_t cuts = 0;

    (void)state;
    assert_int_equal(run_story(true, &cuts), 0);
    assert_int_equal(cuts, 12); /* open, sync_dir, five writes and syncs */
}

static void test_a_sweep_of_cuts_finds_a_missing_sync(void **state)
{
    uint64_t cuts = 0;

    (void)state;
    assert_true(run_story(false, &cuts) > 50);
    assert_int_equal(cuts, 7);
}

/* Stores after the cut do not count, although nothing can stop them. */
static void test_the_cut_is_a_moment(void **state)
{
    place *at = *state;

    for (uint64_t seed = 0; seed < SEEDS / 4; seed++) {
        os_file *file = create_file(at->dir, "a");
        char *memory = NULL;
        assert_int_equal(at->os->ops->allocate(file, 0, 4096), 0);
        assert_int_equal(
            at->os->ops->map(file, 0, 4096, true, (void **)&memory), 0);
        assert_int_equal(os_sim_sync_all(at->sim), 0);
        memset(memory, 'b', SECTOR);
        os_sim_cut(at->sim);
        memset(memory, 'c', SECTOR);
        memset(memory + SECTOR, 'c', SECTOR);
        at->os->ops->unmap(at->os, memory, 4096);
        at->os->ops->close(file);
        crash(at, seed);
        file = open_file(at->dir, "a");
        assert_true(sector_of(file, 0) == 'b' || sector_of(file, 0) == '0');
        assert_int_equal(sector_of(file, 1), '0');
        at->os->ops->close(file);
        clear(at);
    }
}

#define TEST(test)                                                             \
    cmocka_unit_test_setup_teardown(test, place_setup_sim, place_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_was_synced_survives),
        TEST(test_an_unsynced_sector_is_old_or_new),
        TEST(test_stores_through_a_map_are_lost_likewise),
        TEST(test_appended_bytes_come_back_torn),
        TEST(test_shortening_happens_or_does_not),
        TEST(test_a_synced_shortening_is_for_ever),
        TEST(test_a_rewritten_file_shows_no_old_tail),
        TEST(test_a_name_is_durable_only_by_sync_dir),
        TEST(test_new_names_survive_in_any_combination),
        TEST(test_a_rename_happens_as_a_whole),
        TEST(test_a_link_needs_its_own_directory_sync),
        TEST(test_a_removed_file_may_come_back),
        TEST(test_sync_dir_settles_names),
        TEST(test_a_directory_needs_its_parent_synced),
        cmocka_unit_test(test_shared_memory_lives_as_long_as_the_boot),
        cmocka_unit_test(test_without_options_nothing_strange_happens),
        cmocka_unit_test(test_writeback_makes_versions_between_survive),
        cmocka_unit_test(test_torn_sectors_are_an_option),
        cmocka_unit_test(test_stale_sectors_are_an_option),
        cmocka_unit_test(test_one_seed_gives_one_result),
        cmocka_unit_test(test_a_sweep_of_cuts_proves_a_sync),
        cmocka_unit_test(test_a_sweep_of_cuts_finds_a_missing_sync),
        TEST(test_the_cut_is_a_moment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
