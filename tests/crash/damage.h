/*
 * What a damaged store may answer. Each case damages one file of a history's
 * image, opens it in several ways, asks for everything, and judges:
 *
 *   - an open or look-up that fails says CASK_CORRUPT or the like, in a message
 *     that names the file (and the offset);
 *   - a value is exactly what some step put under that key, and what the newest
 *     step put, unless one of these two is the case:
 *   - TAIL: the damage lies wholly behind the bytes that the last mark of the
 *     undamaged file names; or the file was cut, marks and all, behind what
 *     MANIFEST has of its last proper close. Nobody can tell it from a crash,
 *     so the log may be cut there: the store is then exactly as it was after
 *     some step, at or behind the last whole operation in front of the damage;
 *   - SERVED: opened with damage=serve, CASK_EVENT_DAMAGE was raised, and no
 *     hint says which keys were lost: those answer as before, or as missing;
 *   - folds and count agree with the look-ups, verify sees what they see;
 *   - an open that fails changes nothing: with the damage undone all is there;
 *   - whatever was answered is answered again after writing and reopening.
 */
#ifndef CASKADE_TESTS_CRASH_DAMAGE_H
#define CASKADE_TESTS_CRASH_DAMAGE_H

#include "crash/history.h"

/*
 * Half of the ways to open, each with damage=fail and damage=serve, for long
 * sweeps: even ones with one change of a byte, odd ones with the other.
 */
enum { DAMAGE_EVEN = 1, DAMAGE_ODD = 2 };

/* What one file looks like instead. */
typedef struct damage {
    const char *label; /* what was done, for messages */
    char file[IMAGE_NAME];
    char other[IMAGE_NAME]; /* may be named in messages as well; or "" */
    uint64_t start;         /* first byte that differs */
    bool file_is_gone;      /* missing */
    bool is_cut;            /* the file ends at `start` */
    bool is_flip;           /* the error must name an offset */
    unsigned modes;         /* DAMAGE_EVEN, DAMAGE_ODD; 0: both */
    bool hint_remains;      /* a sealed segment whose hint is whole */
} damage;

typedef struct damage_bench {
    history past;
    history_end end; /* of the past */
    image image;     /* with the damage in it */
    os_sim *sim;
    os *kernel;
    uint64_t cases;
    /* How often each outcome was seen: a sweep that never sees one of them
     * proves less than it seems to. */
    uint64_t refused;  /* opens that failed */
    uint64_t unharmed; /* all values right, nothing to tell */
    uint64_t told;     /* look-ups that failed */
    uint64_t cut;      /* TAIL */
    uint64_t missing;  /* SERVED, with keys that answer as if never put, */
    uint64_t outdated; /* or with a value that was replaced, */
    uint64_t returned; /* or with one that was deleted */
} damage_bench;

/* Make a store and the disk on which copies of it are damaged. */
void damage_begin(damage_bench *bench, history_end end);
void damage_end(damage_bench *bench);

/* The same for each end from `first` on, with what is tried in between. */
void damage_each_end(history_end first, void (*try_one)(damage_bench *bench));

/* Every byte is changed, in one of two ways, and files are cut at each; what
 * can be saved is looked at for each byte. With a sanitizer, which makes all
 * slow, one in so many does. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { DAMAGE_FLIP_STRIDE = 12, DAMAGE_CUT_STRIDE = 24, SALVAGE_STRIDE = 5 };
#else
enum { DAMAGE_FLIP_STRIDE = 2, DAMAGE_CUT_STRIDE = 1, SALVAGE_STRIDE = 1 };
#endif

/* The byte `stride` behind `at` in a sweep over a file. Behind the records of a
 * segment that was not closed lie 64 KiB of zeros: the first ones and some of
 * the rest stand for all. */
uint64_t damage_next_byte(const damage_bench *bench, const image_file *file,
                          uint64_t at, unsigned stride);

/* Fill in what->file and what->hint_remains. */
void damage_aim(damage_bench *bench, const image_file *file, damage *what);

/* Judge bench->image, which differs from bench->past.image by `what`. */
void damage_judge(damage_bench *bench, const damage *what);

/* As damage_judge() for a file that is replaced, in bench->image, by other
 * bytes (NULL: by nothing), and put back afterwards. */
void damage_replace(damage_bench *bench, image_file *file, damage *what,
                    const uint8_t *data, size_t size);

#endif
