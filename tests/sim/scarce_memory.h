/* Memory that runs out when a test says so. A link that holds scarce_memory.o and wraps (--wrap) what it defines has these calls
 * in place of the true ones, in the code under test and in the test: the C library's, and those that hand out pieces of a block
 * (aq_arena_alloc, aq_bytes_reserve ...), so that each piece may fail, not only the one that a block begins with. What libraries
 * allocate themselves goes on as ever. @thread One, while it counts. */
#ifndef AQ_TESTS_SCARCE_MEMORY_H
#define AQ_TESTS_SCARCE_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

/** From now on calls are counted, and the one with this number, from 1, fails; with `forever` all that follow, too. */
void scarce_begin(uint64_t failing, bool forever);
/** Not for a while (`pause`), then again: what others do meanwhile. */
void scarce_pause(bool pause);
/** Until now. @return Whether any failed. @param left  Blocks that were got since, and not given back. */
bool scarce_end(uint64_t *left);

#endif
