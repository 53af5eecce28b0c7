/* A small HTTP server for GET and HEAD: one thread, short answers, one request a connection. */
#ifndef AQ_TOOLS_SERVICE_HTTP_SERVER_H
#define AQ_TOOLS_SERVICE_HTTP_SERVER_H

#include "engine/ingest/config.h"

#define AQ_HTTP_CONNECTIONS_MAX 32  /* further ones wait */
#define AQ_HTTP_CONNECTION_MS 10000 /* from connecting to the answer's last byte */
#define AQ_HTTP_HEADER_BYTES_MAX 16384

struct aq_http_response {
    unsigned code; /* 200 */
    const char *content_type;
    struct aq_bytes body;
};

/** Fill `response`, which is a 404. @thread The server's. */
typedef void (*aq_http_respond_fn)(void *context, const char *path,
                                   struct aq_http_response *response);

struct aq_http_server;

struct aq_http_options {
    const struct aq_http_config *config; /* borrowed; with a token every request must bear it */
    aq_http_respond_fn respond;
    void *context;
    int64_t connection_ms; /* 0: AQ_HTTP_CONNECTION_MS */
};
/** Listen on config->host and config->port (0: any free one). Signals that the caller blocks stay blocked in
 * the server's thread. */
enum aq_status aq_http_start(const struct aq_http_options *options, struct aq_http_server **server,
                             struct aq_error *err) AQ_RESULT;
/** Ends all connections. NULL is ignored. */
void aq_http_stop(struct aq_http_server *server);
/** "127.0.0.1:9190", "[::1]:9190": where it listens. */
const char *aq_http_address(const struct aq_http_server *server);
/** Cut connections that have had their time; call it about once a second. @thread Any. */
void aq_http_sweep(struct aq_http_server *server);

#endif
