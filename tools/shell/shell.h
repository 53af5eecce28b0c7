/* What shells and man read, made from the tables of commands and options (tools/options.h). */
#ifndef AQ_TOOLS_SHELL_SHELL_H
#define AQ_TOOLS_SHELL_SHELL_H

#include "tools/options.h"

void aq_shell_bash(struct aq_bytes *out);
void aq_shell_zsh(struct aq_bytes *out);
void aq_shell_fish(struct aq_bytes *out);
/** aqstore(1), in troff. */
void aq_shell_man(struct aq_bytes *out);

/* Pieces that they share. */

/** printf onto `out`; a piece has at most 1,023 bytes. */
void aq_shell_put(struct aq_bytes *out, const char *format, ...) AQ_PRINTF(2, 3);
/** Append "a|b|c" as words parted by spaces. */
void aq_shell_words(struct aq_bytes *out, const char *choices);
/** Append `text`, each character of `special` after a backslash, and ' as '\'' . */
void aq_shell_quote(struct aq_bytes *out, const char *text, const char *special);
/** Whether a value, or arguments, name files. */
bool aq_shell_is_file(const char *placeholder);
bool aq_shell_is_folder(const char *placeholder);
/** Whether arguments are words to choose from, "list|show". */
bool aq_shell_is_choice(const char *arguments);

#endif
