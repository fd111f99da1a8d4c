/*
 * Histories whose state after each unit is known.
 */
#include "sim_store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "hash/hash_merger.h"
#include "hash/hash_merge.h"
#include "hash/keydir.h"
#include "region/place.h"
#include "store/store_merge.h"
#include "support/flip.h"
#include "support/threadless.h"

/* ---- The machine ---- */

/*
 * /dev/shm is a disk of its own: it is never copied, only lost. (A copy of the
 * region for each crash would cost ten times what the crash does.)
 */
struct sim_machine {
    os_sim *disk;
    os_sim *shm;
    void *mapped[16]; /* maps of files in shm */
    void (*after_sync)(void *context);
    void *context;
};

enum { MACHINES = 8, MAPS = 16 };

static sim_machine *machines[MACHINES];
static os_ops quiet;
static const os_ops *simulated;

static sim_machine *machine_of(const os *kernel)
{
    for (int i = 0; i < MACHINES; i++) {
        if (machines[i] != NULL && (os_sim_os(machines[i]->disk) == kernel ||
                                    os_sim_os(machines[i]->shm) == kernel)) {
            return machines[i];
        }
    }
    abort();
}

static int open_dir(os *self, const char *path, os_file **ret_dir)
{
    if (strcmp(path, "/dev/shm") == 0) {
        self = os_sim_os(machine_of(self)->shm);
    }
    return simulated->open_dir(self, path, ret_dir);
}

static int map(os_file *file, uint64_t offset, size_t size, bool write,
               void **ret_memory)
{
    sim_machine *machine = machine_of(file->os);
    int os_errno = simulated->map(file, offset, size, write, ret_memory);

    if (os_errno == 0 && file->os == os_sim_os(machine->shm)) {
        for (int i = 0; i < MAPS; i++) {
            if (machine->mapped[i] == NULL) {
                machine->mapped[i] = *ret_memory;
                return 0;
            }
        }
        abort();
    }
    return os_errno;
}

static void unmap(os *self, void *memory, size_t size)
{
    sim_machine *machine = machine_of(self);

    for (int i = 0; i < MAPS && memory != NULL; i++) {
        if (machine->mapped[i] == memory) {
            machine->mapped[i] = NULL;
            self = os_sim_os(machine->shm);
            break;
        }
    }
    simulated->unmap(self, memory, size);
}

static int sync_file(os_file *file)
{
    int os_errno = simulated->sync(file);
    const sim_machine *machine = machine_of(file->os);

    if (os_errno == 0 && machine->after_sync != NULL) {
        machine->after_sync(machine->context);
    }
    return os_errno;
}

static os_sim *new_disk(const os_sim_options *options)
{
    os_sim *sim = NULL;

    if (os_sim_create(options, &sim) != 0) {
        (void)fprintf(stderr, "no memory for a simulated disk\n");
        exit(1);
    }
    simulated = simulated == NULL ? os_sim_os(sim)->ops : simulated;
    quiet = *simulated;
    threadless(&quiet);
    quiet.open_dir = open_dir;
    quiet.map = map;
    quiet.unmap = unmap;
    quiet.sync = sync_file;
    os_sim_os(sim)->ops = &quiet;
    return sim;
}

sim_machine *sim_machine_create(const os_sim_options *given)
{
    os_sim_options options = *given;
    os_sim_options memory = {.seed = given->seed,
                             .max_file_bytes = SIM_SHM_BYTES};
    sim_machine *machine = calloc(1, sizeof(*machine));

    if (machine == NULL) {
        (void)fprintf(stderr, "no memory\n");
        exit(1);
    }
    if (options.max_file_bytes == 0) {
        options.max_file_bytes = 2 << 20;
    }
    machine->disk = new_disk(&options);
    machine->shm = new_disk(&memory);
    for (int i = 0; i < MACHINES; i++) {
        if (machines[i] == NULL) {
            machines[i] = machine;
            return machine;
        }
    }
    abort();
}

void sim_machine_free(sim_machine *machine)
{
    os_sim_free(machine->disk);
    os_sim_free(machine->shm);
    for (int i = 0; i < MACHINES; i++) {
        if (machines[i] == machine) {
            machines[i] = NULL;
        }
    }
    free(machine);
}

os_sim *sim_disk(sim_machine *machine)
{
    return machine->disk;
}

os *sim_os(sim_machine *machine)
{
    return os_sim_os(machine->disk);
}

void sim_on_sync(sim_machine *machine, void (*after)(void *context),
                 void *context)
{
    machine->after_sync = after;
    machine->context = context;
}

void sim_machine_crash(sim_machine *machine, uint64_t seed)
{
    if (os_sim_crash(machine->disk, seed) != 0 ||
        os_sim_crash(machine->shm, seed) != 0) {
        (void)fprintf(stderr, "no memory for a crash\n");
        exit(1);
    }
    os_sim_cut_at(machine->disk, UINT64_MAX);
}

void sim_machine_copy(sim_machine *from, sim_machine *to)
{
    int error = os_sim_copy(from->disk, to->disk);

    if (error != 0) {
        (void)fprintf(stderr, "cannot copy a disk: %d\n", error);
        exit(1);
    }
}

/* ---- Options ---- */

cask_options sim_options(const sim_history *history)
{
    test_random random = test_random_make(history->seed, 77);
    cask_options options;

    cask_options_init(&options);
    options.create_if_missing = true;
    options.segment_max_bytes = 65536;
    options.huge_pages = false;
    options.sync =
        test_random_chance(&random, 40) ? CASK_SYNC_COMMIT : CASK_SYNC_NONE;
    options.append = (cask_append)test_random_next(&random, 3);
    options.io = (cask_io)test_random_next(&random, 2);
    options.small_file_threshold_bytes =
        test_random_chance(&random, 50) ? 0 : 10 << 20;
    return options;
}

/* ---- Keys, values, states ---- */

static cask_slice name_of(char text[SIM_NAME], unsigned key)
{
    (void)snprintf(text, SIM_NAME, "key-%u", key);
    return cask_slice_of(text);
}

static cask_slice value_of(const sim_history *history, unsigned key,
                           uint64_t version, uint8_t *memory)
{
    uint64_t word = test_mix(history->seed ^ (version << 8 | key));
    size_t size = 8 + word % 200;

    if (word >> 40 & 1) {
        size = 8 + word % 6000;
    }
    if ((word >> 41) % 64 == 0) {
        size = SIM_VALUE_BYTES;
    }
    memcpy(memory, &version, 8);
    for (size_t at = 8; at < size; at++) {
        word = word * UINT64_C(6364136223846793005) + 1442695040888963407;
        memory[at] = (uint8_t)(word >> 56);
    }
    return (cask_slice){memory, size};
}

/* What a key adds to the hash of the state. */
static uint64_t part_of(unsigned key, uint64_t version)
{
    return version == 0 ? 0 : test_mix(version << 8 | key);
}

static void change(sim_history *history, unsigned key, uint64_t version)
{
    history->now ^= part_of(key, history->version[key]);
    history->version[key] = version;
    history->now ^= part_of(key, version);
}

void sim_begin_history(sim_history *history, uint64_t seed)
{
    memset(history, 0, sizeof(*history));
    history->seed = seed;
    history->random = test_random_make(seed, 1);
}

/* ---- Units ---- */

/* The model is changed before the store: the unit may be there from now on. */
static void begin_unit(sim_history *history)
{
    history->begun++;
    if (history->begun >= SIM_UNITS) {
        abort();
    }
    history->state[history->begun] = history->now;
    memcpy(history->versions[history->begun], history->version,
           sizeof(history->version));
}

void sim_roll_back(sim_history *history, int64_t state)
{
    history->begun = (uint64_t)state;
    history->acked = (uint64_t)state;
    history->now = history->state[state];
    memcpy(history->version, history->versions[state],
           sizeof(history->version));
}

static cask_status end_unit(sim_history *history, cask_status status)
{
    bool changed =
        history->state[history->begun] != history->state[history->begun - 1];

    if (status == CASK_OK) {
        history->acked = history->begun;
        /* Deleting what is not there writes nothing and waits for nothing. */
        if (changed && sim_options(history).sync == CASK_SYNC_COMMIT) {
            history->durable = history->begun;
        }
    }
    return status;
}

static cask_status put_key(sim_history *history, cask_db *db, unsigned key,
                           cask_error *err)
{
    static uint8_t memory[SIM_VALUE_BYTES];
    uint64_t unit = history->begun + 1;
    char text[SIM_NAME];

    change(history, key, unit);
    begin_unit(history);
    return end_unit(history,
                    cask_put(db, name_of(text, key),
                             value_of(history, key, unit, memory), err));
}

static unsigned any_key(sim_history *history)
{
    return (unsigned)test_random_next(&history->random, SIM_KEYS);
}

cask_status sim_put(sim_history *history, cask_db *db, cask_error *err)
{
    return put_key(history, db, any_key(history), err);
}

/* Both units are puts, of different keys: the state after both is the same in
 * either order. */
cask_status sim_put_before(sim_history *history, cask_db *db, cask_error *err)
{
    static uint8_t memory[SIM_VALUE_BYTES];
    static sim_history before;
    uint64_t unit = history->begun;
    unsigned key = any_key(history);
    uint64_t old = history->version[key];
    char text[SIM_NAME];
    cask_status status;

    if (key == history->put_key) {
        return CASK_TIMEOUT;
    }
    before = *history;
    change(history, key, unit + 1);
    begin_unit(history);
    history->state[unit] =
        history->state[unit - 1] ^ part_of(key, old) ^ part_of(key, unit + 1);
    memcpy(history->versions[unit], history->versions[unit - 1],
           sizeof(history->versions[unit]));
    history->versions[unit][key] = unit + 1;
    status = cask_put(db, name_of(text, key),
                      value_of(history, key, unit + 1, memory), err);
    if (status != CASK_OK) {
        *history = before;
        return status;
    }
    history->acked = unit;
    return CASK_OK;
}

static cask_status step_put(sim_history *history, cask_db *db, cask_error *err)
{
    cask_status status;

    history->put_key = any_key(history);
    history->in_put = true;
    status = put_key(history, db, history->put_key, err);
    history->in_put = false;
    return status;
}

static cask_status delete_one(sim_history *history, cask_db *db,
                              cask_error *err)
{
    unsigned key = (unsigned)test_random_next(&history->random, SIM_KEYS);
    char text[SIM_NAME];

    change(history, key, 0);
    begin_unit(history);
    return end_unit(history, cask_delete(db, name_of(text, key), NULL, err));
}

static cask_status write_batch(sim_history *history, cask_db *db,
                               cask_error *err)
{
    static uint8_t memory[SIM_VALUE_BYTES];
    uint64_t size = 2 + test_random_next(&history->random, 5);
    uint64_t unit = history->begun + 1;
    cask_batch *batch = NULL;
    cask_status status = cask_batch_create(&batch, err);

    for (uint64_t i = 0; i < size && status == CASK_OK; i++) {
        unsigned key = (unsigned)test_random_next(&history->random, SIM_KEYS);
        char text[SIM_NAME];
        cask_slice value = value_of(history, key, unit, memory);

        if (test_random_chance(&history->random, 25) ||
            cask_batch_bytes(batch) + value.size > 50000) {
            change(history, key, 0);
            status = cask_batch_delete(batch, name_of(text, key), err);
        } else {
            change(history, key, unit);
            status = cask_batch_put(batch, name_of(text, key), value, 0, err);
        }
    }
    if (status == CASK_OK) {
        begin_unit(history);
        status = cask_write(db, batch, err);
    }
    cask_batch_free(batch);
    return end_unit(history, status);
}

static merge_report sim_merged;

void sim_print_merged(void)
{
    printf("merged %" PRIu64 " segments into %" PRIu64 ", %" PRIu64
           " records; %" PRIu64 " tombstones dropped, %" PRIu64 " expired\n",
           sim_merged.inputs, sim_merged.outputs, sim_merged.records,
           sim_merged.tombstones_dropped, sim_merged.expired);
}

uint64_t sim_place(cask_db *db, cask_slice key)
{
    const store_handle *store = db->store;
    siphash_value hash = store_hash(store, key);
    uint64_t place = 0;

    return keydir_find(&store->region, keydir_hash_of(hash), &place) &&
                   place_is_live(place)
               ? place
               : 0;
}

bool sim_clock_disagrees(cask_db *db)
{
    store_expiry expiry;

    store_expiry_now(db->store, true, &expiry);
    return expiry.disagrees;
}

cask_status sim_merge(cask_db *db, uint64_t choice, cask_error *err)
{
    static uint32_t rows[REGION_SEGMENTS];
    const store_handle *store = db->store;
    uint32_t count = atomic_load(&store->region.header->row_count);
    store_expiry expiry;
    merge_report report;
    cask_status status;
    size_t chosen = 0;

    for (uint32_t i = 0; i < count; i++) {
        if (atomic_load(&store->region.rows[i].state) == ROW_SEALED &&
            store_row_counts(store, i) && (choice >> i % 16 & 3) != 0) {
            rows[chosen++] = i;
        }
    }
    store_expiry_now(db->store, true, &expiry);
    status = hash_merge(db->store, rows, chosen, &expiry, &report, err);
    sim_merged.inputs += status == CASK_OK ? report.inputs : 0;
    sim_merged.outputs += report.outputs;
    sim_merged.records += report.records;
    sim_merged.expired += report.expired;
    sim_merged.tombstones_dropped += report.tombstones_dropped;
    return status;
}

bool sim_damage(sim_history *history, cask_db *db, sim_machine *machine,
                uint64_t choice)
{
    uint64_t acked = history->acked;
    flip f;

    /* What is dead must be so after any crash. */
    if (cask_sync(db, NULL) != CASK_OK || !flip_choose(db, choice, &f)) {
        return false;
    }
    history->durable = history->durable < acked ? acked : history->durable;
    for (unsigned key = 0; key < SIM_KEYS; key++) {
        char text[SIM_NAME];

        if (flip_hits(&f, sim_place(db, name_of(text, key)))) {
            return false;
        }
    }
    flip_byte(sim_os(machine), SIM_PATH, &f);
    history->is_damaged = true;
    return true;
}

cask_status sim_step(sim_history *history, cask_db *db, cask_error *err)
{
    uint64_t kind = test_random_next(&history->random, 100);
    uint64_t acked;
    cask_status status;

    if (kind < 62) {
        return step_put(history, db, err);
    }
    if (kind < 74) {
        return delete_one(history, db, err);
    }
    if (kind < 92) {
        return write_batch(history, db, err);
    }
    if (kind < 95) {
        status =
            sim_merge(db, test_random_next(&history->random, UINT64_MAX), err);
        return status == CASK_CORRUPT && history->is_damaged ? CASK_OK : status;
    }
    acked = history->acked; /* others may write during the sync */
    history->in_sync = true;
    status = cask_sync(db, err);
    history->in_sync = false;
    if (status == CASK_OK && history->durable < acked) {
        history->durable = acked;
    }
    return status;
}

/* ---- Looking ---- */

typedef struct looking {
    const sim_history *history;
    uint64_t hash;
    uint64_t count;
    bool wrong;
    uint8_t memory[SIM_VALUE_BYTES];
} looking;

static bool look_at(void *context, const cask_entry *entry)
{
    looking *l = context;
    char text[SIM_NAME] = "";
    unsigned key = 0;
    uint64_t version = 0;
    cask_slice right;

    if (entry->key.size >= SIM_NAME || entry->value.size < 8) {
        l->wrong = true;
        return false;
    }
    memcpy(text, entry->key.data, entry->key.size);
    memcpy(&version, entry->value.data, 8);
    if (sscanf(text, "key-%u", &key) != 1 || key >= SIM_KEYS) {
        l->wrong = true;
        return false;
    }
    right = value_of(l->history, key, version, l->memory);
    if (right.size != entry->value.size ||
        memcmp(right.data, entry->value.data, right.size) != 0) {
        l->wrong = true;
        return false;
    }
    l->hash ^= part_of(key, version);
    l->count++;
    return true;
}

int64_t sim_state_of(const sim_history *history, cask_db *db,
                     char ret_message[256])
{
    static looking l;
    cask_error err = {CASK_OK, 0, ""};
    uint64_t count = 0;
    cask_status status;

    l.history = history;
    l.hash = 0;
    l.count = 0;
    l.wrong = false;
    status = cask_fold(db, NULL, look_at, &l, &err);
    if (status == CASK_OK || (status == CASK_CORRUPT && history->is_damaged)) {
        status = cask_count(db, &count, &err);
    }
    if (status != CASK_OK || l.wrong || count != l.count) {
        (void)snprintf(ret_message, 256,
                       "fold: %s %.150s; wrong bytes: %d; count %" PRIu64
                       ", found %" PRIu64,
                       cask_status_name(status), err.message, l.wrong, count,
                       l.count);
        return -1;
    }
    for (uint64_t n = history->begun; n + 1 > history->durable; n--) {
        if (history->state[n] == l.hash) {
            return (int64_t)n;
        }
    }
    for (uint64_t n = 0; n < history->durable; n++) {
        if (history->state[n] == l.hash) {
            (void)snprintf(ret_message, 256,
                           "state %" PRIu64 ", but %" PRIu64
                           " was durable (%" PRIu64 " begun)",
                           n, history->durable, history->begun);
            return -1;
        }
    }
    (void)snprintf(ret_message, 256,
                   "no state of the history; durable %" PRIu64
                   ", begun %" PRIu64 ", %" PRIu64 " keys",
                   history->durable, history->begun, count);
    return -1;
}
