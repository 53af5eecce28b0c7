/* For clang-tidy, which sees one file at a time: these return the failure that they are given, so a
 * caller that returns early on failure does not go on with what was not written. */
#include "format/status.h"

#define aq_error_set(err, status, ...) (aq_error_set((err), (status), __VA_ARGS__), (status))
#define aq_error_set_at(err, status, ...) (aq_error_set_at((err), (status), __VA_ARGS__), (status))
#define aq_error_set_errno(...) (aq_error_set_errno(__VA_ARGS__), AQ_IO)
#define aq_error_locate(err, status, ...) (aq_error_locate((err), (status), __VA_ARGS__), (status))
