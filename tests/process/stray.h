/*
 * What does not belong into the directory of a store that nobody has open.
 */
#ifndef CASKADE_TESTS_STRAY_H
#define CASKADE_TESTS_STRAY_H

enum { STRAY_NAME = 64 };

/*
 * The first name that is neither LOCK, CASKADE, MANIFEST nor CONFIG, nor a
 * segment that MANIFEST lists, nor the hint of one; or of a segment that it
 * lists and that is not there; or what could not be read. "": none.
 */
void stray_find(const char *path, char ret_name[STRAY_NAME]);

/* Fail the test if there is one. */
void stray_check(const char *path);

#endif
