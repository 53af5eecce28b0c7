/* UTF-8 for output: what is a character, and how wide it is on a terminal. */
#ifndef AQ_TOOLS_OUTPUT_UTF8_H
#define AQ_TOOLS_OUTPUT_UTF8_H

#include "format/base/bytes.h"

/**
 * The character at `at` < text.size: its length in bytes and its code point. Bytes that are no
 * UTF-8 (overlong forms, surrogates, anything above U+10FFFF or cut short included) give length 1
 * and AQ_UTF8_BAD.
 */
#define AQ_UTF8_BAD UINT32_MAX
size_t aq_utf8_next(struct aq_slice text, size_t at, uint32_t *code_point);

/** Append `text` as it may be shown on one line of a terminal: control characters, also U+0080 to
 * U+009F and the ones that turn the writing direction, become \n, \t, \xHH or \u{HHHH}; bad bytes
 * \xHH. @return Columns that it takes. */
size_t aq_utf8_display(struct aq_slice text, struct aq_bytes *out);

/** Use the C library's character widths: call once, early, in the main thread. */
void aq_utf8_setup(void);

#endif
