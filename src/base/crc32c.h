/*
 * CRC-32C (Castagnoli), the checksum of every Caskade file. By ISA-L, which
 * picks the fastest code for the processor at run time.
 */
#ifndef CASKADE_CRC32C_H
#define CASKADE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/*
 * Checksum of `size` bytes, continuing from `crc`: start with 0, and
 * crc32c(crc32c(0, a), b) is the checksum of a followed by b.
 */
uint32_t crc32c(uint32_t crc, const void *data, size_t size);

#endif
