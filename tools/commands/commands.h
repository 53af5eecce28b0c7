/* One function a command. Each does its work, prints its result on program->out, and returns AQ_OK or what
 * failed with `err` filled; main prints that and turns it into the exit code. */
#ifndef AQ_TOOLS_COMMANDS_COMMANDS_H
#define AQ_TOOLS_COMMANDS_COMMANDS_H

#include "engine/store/feed/feeds.h"
#include "tools/program.h"

enum aq_status aq_command_ingest(struct aq_program *program, struct aq_error *err) AQ_RESULT;
enum aq_status aq_command_import(struct aq_program *program, struct aq_error *err) AQ_RESULT;
enum aq_status aq_command_query(struct aq_program *program, struct aq_error *err) AQ_RESULT;
enum aq_status aq_command_compact(struct aq_program *program, struct aq_error *err) AQ_RESULT;
enum aq_status aq_command_gc(struct aq_program *program, struct aq_error *err) AQ_RESULT;
enum aq_status aq_command_inspect(struct aq_program *program, struct aq_error *err) AQ_RESULT;
enum aq_status aq_command_verify(struct aq_program *program, struct aq_error *err) AQ_RESULT;
enum aq_status aq_command_export(struct aq_program *program, struct aq_error *err) AQ_RESULT;
enum aq_status aq_command_rejects(struct aq_program *program, struct aq_error *err) AQ_RESULT;
/** rejects replay. */
enum aq_status aq_rejects_feed_again(struct aq_program *program, struct aq_error *err) AQ_RESULT;
/** What --since says: INT64_MIN where it is not given. */
enum aq_status aq_rejects_since(const struct aq_program *program, int64_t *since_us,
                                struct aq_error *err) AQ_RESULT;
enum aq_status aq_command_sources(struct aq_program *program, struct aq_error *err) AQ_RESULT;
/** Of `ingest` and `sources accept`: a source by its name; AQ_INVALID, with the nearest name, where the config has none. */
enum aq_status aq_source_named(const struct aq_config *config, const char *name,
                               const struct aq_source_config **source,
                               struct aq_error *err) AQ_RESULT;
/** The `accept` of `sources`. */
enum aq_status aq_sources_accept(struct aq_program *program, struct aq_error *err) AQ_RESULT;
/** How far feeds are behind their logs, as the brokers of the config say, if there is one; -1: not known.
 * A broker that cannot be asked is a notice. */
void aq_sources_lags(struct aq_program *program, const struct aq_feed_state *feeds,
                     size_t feed_count, int64_t *lags);
enum aq_status aq_command_config(struct aq_program *program, struct aq_error *err) AQ_RESULT;
enum aq_status aq_command_tier(struct aq_program *program, struct aq_error *err) AQ_RESULT;
enum aq_status aq_command_replay(struct aq_program *program, struct aq_error *err) AQ_RESULT;
enum aq_status aq_command_restore(struct aq_program *program, struct aq_error *err) AQ_RESULT;
enum aq_status aq_command_completion(struct aq_program *program, struct aq_error *err) AQ_RESULT;

#endif
