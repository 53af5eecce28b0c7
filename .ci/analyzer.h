/* For clang-tidy, which sees one file at a time: these return the failure they are given or name, so a
 * caller that returns early on failure does not go on with what was not written. .ci/check-file sets
 * TELL_... for the folders that the file includes, and leaves this out where one of them is defined. */
#include "format/base/status.h"

#define aq_error_set(err, status, ...) (aq_error_set((err), (status), __VA_ARGS__), (status))
#define aq_error_set_at(err, status, ...) (aq_error_set_at((err), (status), __VA_ARGS__), (status))
#define aq_error_set_errno(...) (aq_error_set_errno(__VA_ARGS__), AQ_IO)
#define aq_error_locate(err, status, ...) (aq_error_locate((err), (status), __VA_ARGS__), (status))

#ifdef TELL_CONFIG
#include "engine/config/config_read.h"
#define aq_config_fail(...) (aq_config_fail(__VA_ARGS__), AQ_INVALID)
#endif

#ifdef TELL_QUERY
#include "engine/query/expression/expression.h"
#include "engine/query/sql/bind.h"
#define aq_bind_error(...) (aq_bind_error(__VA_ARGS__), AQ_INVALID)
#define aq_bind_refuse(...) (aq_bind_refuse(__VA_ARGS__), AQ_UNSUPPORTED)
#define aq_eval_error(...) (aq_eval_error(__VA_ARGS__), AQ_INVALID)
#define aq_sql_error(...) (aq_sql_error(__VA_ARGS__), AQ_INVALID)
#endif

#ifdef TELL_ENCODE
#include "format/encode/node.h"
#define aq_decoder_corrupt(...) (aq_decoder_corrupt(__VA_ARGS__), AQ_CORRUPT)
#endif
