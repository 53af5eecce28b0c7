/* Which bucket belongs to a store, for every command that reads or writes one. */
#ifndef AQ_TOOLS_BUCKET_H
#define AQ_TOOLS_BUCKET_H

#include "engine/object/object.h"
#include "tools/program.h"

/** Open the bucket, once; `bucket` is the program's, and NULL when none is known. Nothing is sent yet. Its
 * address is, in this order: `--store s3://...` or `--from`; `tier:` of the config, where that is given or
 * names the home; the file HOME/bucket. With an address on the command line, endpoint, region and keys
 * are still the given config's, else AWS_ENDPOINT_URL and AWS_REGION count. */
enum aq_status aq_program_bucket(struct aq_program *program, struct aq_object_store **bucket,
                                 struct aq_error *err) AQ_RESULT;

/** As aq_program_bucket, for commands that cannot do without: AQ_INVALID with what to do. */
enum aq_status aq_program_need_bucket(struct aq_program *program, struct aq_object_store **bucket,
                                      struct aq_error *err) AQ_RESULT;

/** What HOME/bucket is to say of the program's bucket, so that the home's files are found without a config:
 * no secrets. Nothing when none is known. */
enum aq_status aq_program_bucket_note(struct aq_program *program, struct aq_bytes *note,
                                      struct aq_error *err) AQ_RESULT;
/** Write it, unless it stands there already. */
enum aq_status aq_program_keep_bucket_note(struct aq_program *program, const char *home,
                                           struct aq_error *err) AQ_RESULT;

/** The `tier:` settings that count: the config's, else defaults. */
struct aq_tier_config aq_program_tier_config(const struct aq_program *program);
/** How long what is replaced is kept for readers of a bucket: `history:` of the config, else 24h. */
int64_t aq_program_history_us(const struct aq_program *program);

#endif
