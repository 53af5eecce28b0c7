/* Rows to partitions: a batch in order of arrival becomes a frame's section, grouped by partition. */
#ifndef AQ_ENGINE_INGEST_ROUTE_H
#define AQ_ENGINE_INGEST_ROUTE_H

#include "format/segment/frame.h"

struct aq_router;

/** For batches of `schema` with system columns; the schema must outlive the router. */
enum aq_status aq_router_create(const struct aq_schema *schema, struct aq_router **router,
                                struct aq_error *err) AQ_RESULT;
void aq_router_destroy(struct aq_router *router);

/**
 * Group `rows` by partition: partitions in order of (key text, slot), rows inside one in order of arrival.
 * @param section  Borrows from `rows` and the router until either changes.
 * @return AQ_OK or AQ_NO_MEMORY. @thread One at a time per router.
 */
enum aq_status aq_route(struct aq_router *router, const struct aq_batch *rows,
                        struct aq_section_input *section, struct aq_error *err) AQ_RESULT;

/** aq_route into sections[*section_count], which is then counted; a batch without rows makes no section. */
enum aq_status aq_route_section(struct aq_router *router, const struct aq_batch *rows,
                                struct aq_section_input *sections, size_t *section_count,
                                struct aq_error *err) AQ_RESULT;

#endif
