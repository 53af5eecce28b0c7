/* Doubles as the fewest digits that read back as the same value. */
#ifndef AQ_ENGINE_BASE_TEXT_SHORTEST_H
#define AQ_ENGINE_BASE_TEXT_SHORTEST_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define AQ_SHORTEST_BYTES_MAX 40

/**
 * "-1.25e-07": the digits of a finite `value`, a point behind the first if there are more, and an exponent of two
 * digits at least. Of equally short ones the nearest.
 *
 * @param single  The value is a float's, and need only read back as that.
 * @param text    AQ_SHORTEST_BYTES_MAX bytes.
 * @return How many of them were written; no NUL.
 * @source Adams, "Ryu: fast float-to-string conversion", PLDI 2018, as the C++ library has it.
 */
size_t aq_double_shortest(double value, bool single, char *text);

#ifdef __cplusplus
}
#endif

#endif
