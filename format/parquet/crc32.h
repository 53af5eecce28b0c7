/* The checksum that Parquet's pages may have. */
#ifndef AQ_FORMAT_PARQUET_CRC32_H
#define AQ_FORMAT_PARQUET_CRC32_H

#include "format/base/bytes.h"

/** CRC-32 as gzip has it: polynomial 0x04C11DB7, bits reflected, inverted before and after. Of "123456789": cbf43926.
 * @thread Any.
 * @source Kounavis, Berry, "A Systematic Approach to Building High Performance, Software-based, CRC Generators",
 * ISCC 2005, for eight bytes at a time. */
uint32_t aq_crc32(struct aq_slice bytes);

#endif
