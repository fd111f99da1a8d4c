/*
 * The operations that the model test chooses from.
 */
#ifndef CASKADE_TESTS_OPERATIONS_H
#define CASKADE_TESTS_OPERATIONS_H

/* X(name, weight) */
#define OPERATION_LIST(X)                                                      \
    X(PUT, 20)                                                                 \
    X(PUT_TTL, 6)                                                              \
    X(DELETE, 8)                                                               \
    X(BATCH, 8)                                                                \
    X(PUT_IF_ABSENT, 4)                                                        \
    X(PUT_IF_PRESENT, 4)                                                       \
    X(PUT_IF_SEQUENCE, 4)                                                      \
    X(DELETE_IF_SEQUENCE, 3)                                                   \
    X(GET, 12)                                                                 \
    X(GET_MANY, 3)                                                             \
    X(VIEW, 4)                                                                 \
    X(EXISTS, 4)                                                               \
    X(FOLD, 3)                                                                 \
    X(COUNT, 3)                                                                \
    X(SEGMENTS, 3)                                                             \
    X(SYNC, 2)                                                                 \
    X(MERGE, 3)                                                                \
    X(DAMAGE, 1)                                                               \
    X(SNAPSHOT, 5)                                                             \
    X(SNAPSHOT_READ, 8)                                                        \
    X(SNAPSHOT_FREE, 2)                                                        \
    X(EXPIRE, 3)                                                               \
    X(PERSIST, 2)                                                              \
    X(TTL, 3)                                                                  \
    X(AGE, 2)                                                                  \
    X(CLOCK, 4)                                                                \
    X(DELETE_RANGE, 4)                                                         \
    X(WALK, 5)                                                                 \
    X(REOPEN, 2)                                                               \
    X(DIE, 2)                                                                  \
    X(INGEST, 2)                                                               \
    X(OTHER_HANDLE, 2)

typedef enum operation_kind {
#define OPERATION_ENUM(name, weight) name,
    OPERATION_LIST(OPERATION_ENUM)
#undef OPERATION_ENUM
        KINDS
} operation_kind;

static const char *const kind_names[] = {
#define OPERATION_NAME(name, weight) #name,
    OPERATION_LIST(OPERATION_NAME)
#undef OPERATION_NAME
};

#endif
