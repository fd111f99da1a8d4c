/*
 * The state of os_sim: nodes (files and directories), their two layers,
 * handles, maps and locks. os_sim_internal.h says which part does what.
 *
 * os_sim.guard protects everything that has no other note.
 */
#ifndef CASKADE_OS_SIM_STATE_H
#define CASKADE_OS_SIM_STATE_H

#include "os/os_sim.h"

#include <stdatomic.h>

enum {
    SIM_SECTOR = 512, /* bytes that the device writes as one */
    SIM_BLOCK = 4096, /* bytes: unit of space */
    SIM_NAME_MAX = 255
};

/* A range of addresses, zeroed beyond what was put there. */
typedef struct sim_memory {
    struct sim_memory *next; /* in os_sim.spare */
    unsigned char *start;
    uint64_t touched; /* bytes from the start that may not be zero */
    unsigned references;
} sim_memory;

/* One sector of a file, and bytes for it. */
typedef struct sim_sector {
    uint64_t index;
    unsigned char bytes[SIM_SECTOR];
} sim_sector;

typedef struct sim_sectors {
    sim_sector *items; /* by rising index */
    size_t count;
    size_t capacity;
} sim_sectors;

typedef struct sim_content {
    sim_memory *cache;    /* what reads and maps see */
    sim_memory *device;   /* what survives; NULL in /dev/shm */
    uint64_t size;        /* in the cache */
    uint64_t device_size; /* on the device */
    uint64_t synced_size; /* of the device, when last synced */
    uint64_t kept_size;   /* smallest size in the cache since then */
    uint64_t dirty_low;   /* bytes [low, high) were written by write_at */
    uint64_t dirty_high;
    unsigned write_maps;   /* living maps that may be stored to */
    bool was_mapped;       /* one of them existed since the last sync */
    unsigned char *blocks; /* one bit each: has room on the device */
    size_t block_bytes;    /* size of `blocks` */
    uint64_t allocated;    /* blocks */
    sim_sectors lies;      /* believed clean after a failed sync */
    sim_sectors frozen;    /* dirty when the power failed */
} sim_content;

typedef struct sim_entry {
    char *name;
    struct sim_node *node;
} sim_entry;

typedef struct sim_entries {
    sim_entry *items;
    size_t count;
    size_t capacity;
} sim_entries;

typedef enum sim_change_kind {
    SIM_LINK,
    SIM_UNLINK,
    SIM_RENAME
} sim_change_kind;

/* A change to names that sync_dir has not seen yet. */
typedef struct sim_change {
    sim_change_kind kind;
    char *name;            /* of what appears or disappears */
    char *from;            /* SIM_RENAME: the name before */
    struct sim_node *node; /* NULL for SIM_UNLINK */
} sim_change;

typedef struct sim_names {
    sim_entries cache;
    sim_entries device;  /* empty in /dev/shm */
    sim_change *changes; /* oldest first */
    size_t change_count;
    size_t change_capacity;
} sim_names;

typedef struct sim_volume {
    uint64_t device;   /* number that stat shows */
    uint64_t capacity; /* blocks */
    uint64_t used;     /* blocks */
    bool vanishes;     /* /dev/shm */
} sim_volume;

typedef struct sim_node {
    struct sim_node *previous; /* in os_sim.nodes, by age */
    struct sim_node *next;
    sim_volume *volume;
    uint64_t inode;
    os_kind kind;
    uint32_t mode;
    unsigned references;   /* names, changes and handles */
    uint32_t links;        /* names in the cache */
    sim_content content;   /* OS_REGULAR */
    sim_names names;       /* OS_DIRECTORY */
    struct sim_node *twin; /* its copy, while os_sim_copy() runs */
} sim_node;

typedef struct sim_handle {
    os_file base;
    sim_node *node;
    uint64_t epoch; /* of os_sim when it was opened */
    uint32_t flags; /* OS_READ, OS_WRITE */
} sim_handle;

/* A map, made by map() and not yet unmapped. */
typedef struct sim_mapping {
    struct sim_mapping *next;
    sim_memory *memory;
    void *start;
    size_t size; /* bytes */
    sim_node *node;
    bool counted; /* in write_maps of the node */
} sim_mapping;

typedef struct sim_lock {
    const sim_handle *owner;
    uint64_t start; /* bytes [start, end) */
    uint64_t end;
    os_lock kind;
} sim_lock;

typedef struct sim_random {
    uint64_t state;
} sim_random;

struct os_sim {
    os base;
    os *host; /* os_posix() */
    os_mutex guard;
    os_sim_options options;
    sim_random random;
    _Atomic uint64_t wall_ms;
    _Atomic uint64_t boot_ms;
    os_sim_zone zone;
    sim_volume disk;
    sim_volume shm;
    sim_node *root;     /* "/"; one reference is ours */
    sim_node *shm_root; /* "/dev/shm"; its name holds it */
    uint8_t boot[16];
    sim_node *oldest; /* all nodes */
    sim_node *newest;
    uint64_t next_inode;
    sim_memory *spare; /* zeroed, for the next file */
    sim_mapping *maps;
    sim_lock *locks;
    size_t lock_count;
    size_t lock_capacity;
    size_t handles;      /* open os_files */
    uint64_t epoch;      /* crashes so far */
    uint64_t operations; /* mutating ones so far */
    uint64_t cut_at;
    uint64_t syncs; /* calls since os_sim_fail_syncs() */
    uint64_t fail_from;
    uint64_t fail_count;
    int freeze_error; /* ENOMEM while the power failed; for os_sim_crash() */
    bool is_cut;
    os_sim_hook hook;
    void *hook_context;
};

#endif
