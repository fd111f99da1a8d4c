/*
 * A sorted run as an input of a merge. It may be split among several files,
 * which follow each other: to the merge they are one.
 */
#ifndef CASKADE_TREE_RUN_INPUT_H
#define CASKADE_TREE_RUN_INPUT_H

#include "iter/iter_input.h"
#include "iter/iter_ranges.h"
#include "run/run_iterator.h"

/* One of the files; no key is in two of them. */
typedef struct run_part {
    const cask_run *file; /* open as long as the input is used */
    cask_slice begin;     /* records of keys before it do not count; empty: all
                             do */
} run_part;

/* For one thread at a time. */
typedef struct run_input {
    const run_part *parts; /* by rising keys; borrowed */
    size_t count;          /* at least 1 */
    size_t at;             /* the part where it is */
    cask_run_iterator iterator;
} run_input;

/* Self: a run_input, with `parts` and `count` set. Statuses of
 * cask_run_iterator_seek(). */
extern const iter_input_ops run_input_ops;

/* A stable one: its bytes are those of the files. */
static inline iter_input run_input_of(run_input *input)
{
    return (iter_input){
        .ops = &run_input_ops, .self = input, .is_stable = true};
}

/* Deletions of ranges that the files have, without what lies before `begin`. */
size_t run_parts_count_ranges(const run_part *parts, size_t count);

/* Write them to `ret_ranges`, which has room for that many; returns how many
 * there are. The keys are those of the files. */
size_t run_parts_ranges(const run_part *parts, size_t count,
                        iter_range *ret_ranges);

#endif
