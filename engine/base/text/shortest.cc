/* Only what C++ has and C has not. */
#include "engine/base/text/shortest.h"

#include <charconv>

size_t aq_double_shortest(double value, bool single, char *text)
{
    char *end = text + AQ_SHORTEST_BYTES_MAX;
    std::to_chars_result result =
        single ? std::to_chars(text, end, static_cast<float>(value), std::chars_format::scientific)
               : std::to_chars(text, end, value, std::chars_format::scientific);
    return static_cast<size_t>(result.ptr - text);
}
