/*
 * Writers make way for flushes and compactions that cannot keep up.
 */
#ifndef CASKADE_TREE_DELAY_H
#define CASKADE_TREE_DELAY_H

#include "store/store.h"

/* Called after each write, without a lock: waits now and then, in one thread of
 * the handle. Cost: mostly two loads. */
void tree_delay(store_handle *store);

/* How long it waits now, each time, microseconds: whole milliseconds of it. */
uint64_t tree_delay_us(store_handle *store);

/*
 * Whether flushes and compactions cannot wait, although somebody has cancelled
 * one a moment ago: the disk has little room, or they are far behind writers.
 */
bool tree_is_pressed(store_handle *store);

#endif
