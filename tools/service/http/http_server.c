/* libmicrohttpd with limits.
 *
 * Happy path: a connection is noted with its time; its one request is checked (token, method), answered
 * from memory, and the connection closed.
 * Failures: a request without the token is a 401, another method a 405, a path that nobody answers a 404,
 * headers above the limit a 431 (by the library). The library's own timeout starts anew at each byte,
 * so a slow client is cut by aq_http_sweep when its time is up, wherever it stands. Beyond the limit of
 * connections new ones wait in the kernel's queue. */
#include "tools/service/http/http_server.h"
#include "engine/base/clock.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define IDLE_SECONDS 5 /* without any byte */

struct connection {
    int fd;              /* -1: free */
    int64_t deadline_ms; /* CLOCK_MONOTONIC */
};

struct aq_http_server {
    struct MHD_Daemon *daemon;
    int fd;
    struct aq_http_options options;
    char address[NI_MAXHOST + NI_MAXSERV + 4];
    pthread_mutex_t lock; /* of the connections */
    struct connection connections[AQ_HTTP_CONNECTIONS_MAX];
};

/* ---- connections ---- */

static void on_connected(struct aq_http_server *server, struct MHD_Connection *handle,
                         void **context)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(handle, MHD_CONNECTION_INFO_CONNECTION_FD);
    for (size_t i = 0; info != NULL && i < AQ_HTTP_CONNECTIONS_MAX; i++) {
        struct connection *connection = &server->connections[i];
        if (connection->fd >= 0)
            continue;
        *connection = (struct connection){
            .fd = info->connect_fd, .deadline_ms = aq_clock_ms() + server->options.connection_ms};
        *context = connection;
        return;
    }
}

/* The library closes the socket only after it has told us. */
static void on_connection(void *user, struct MHD_Connection *handle, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct aq_http_server *server = user;
    pthread_mutex_lock(&server->lock);
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        on_connected(server, handle, context);
    else if (*context != NULL)
        ((struct connection *)*context)->fd = -1;
    pthread_mutex_unlock(&server->lock);
}

void aq_http_sweep(struct aq_http_server *server)
{
    if (server == NULL)
        return;
    pthread_mutex_lock(&server->lock);
    for (size_t i = 0; i < AQ_HTTP_CONNECTIONS_MAX; i++) {
        struct connection *connection = &server->connections[i];
        if (connection->fd >= 0 && aq_clock_ms() >= connection->deadline_ms)
            shutdown(connection->fd, SHUT_RDWR);
    }
    pthread_mutex_unlock(&server->lock);
}

/* ---- requests ---- */

/* In a time that depends on the length of what was sent alone. */
static bool equal_in_constant_time(const char *sent, const char *secret)
{
    size_t secret_size = strlen(secret);
    size_t size = strlen(sent);
    volatile unsigned char difference = size != secret_size;
    for (size_t i = 0; i < size; i++)
        difference |= (unsigned char)(sent[i] ^ secret[secret_size > 0 ? i % secret_size : 0]);
    return difference == 0;
}

static bool is_allowed(const struct aq_http_server *server, struct MHD_Connection *handle)
{
    static const char scheme[] = "Bearer ";
    const char *token = server->options.config->token;
    if (token == NULL)
        return true;
    const char *sent =
        MHD_lookup_connection_value(handle, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION);
    return sent != NULL && strncasecmp(sent, scheme, sizeof(scheme) - 1) == 0 &&
           equal_in_constant_time(sent + sizeof(scheme) - 1, token);
}

static enum MHD_Result send_response(struct MHD_Connection *handle,
                                     const struct aq_http_response *response)
{
    struct MHD_Response *made = MHD_create_response_from_buffer(
        response->body.size, response->body.data, MHD_RESPMEM_MUST_COPY);
    if (made == NULL)
        return MHD_NO;
    MHD_add_response_header(made, MHD_HTTP_HEADER_CONTENT_TYPE, response->content_type);
    MHD_add_response_header(made, MHD_HTTP_HEADER_CONNECTION, "close");
    MHD_add_response_header(made, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (response->code == MHD_HTTP_UNAUTHORIZED)
        MHD_add_response_header(made, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
    if (response->code == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(made, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    enum MHD_Result result = MHD_queue_response(handle, response->code, made);
    MHD_destroy_response(made);
    return result;
}

static void answer(const struct aq_http_server *server, struct MHD_Connection *handle,
                   const char *path, const char *method, struct aq_http_response *response)
{
    if (!is_allowed(server, handle)) {
        response->code = MHD_HTTP_UNAUTHORIZED;
        aq_bytes_chars(&response->body, "send the token: Authorization: Bearer ...\n");
    } else if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 &&
               strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        response->code = MHD_HTTP_METHOD_NOT_ALLOWED;
        aq_bytes_chars(&response->body, "only GET and HEAD\n");
    } else {
        server->options.respond(server->options.context, path, response);
        if (response->code == MHD_HTTP_NOT_FOUND && response->body.size == 0)
            aq_bytes_chars(&response->body, "no such page\n");
    }
    if (aq_bytes_status(&response->body) == AQ_OK)
        return;
    aq_bytes_deinit(&response->body);
    response->body = (struct aq_bytes){0};
    response->code = MHD_HTTP_SERVICE_UNAVAILABLE;
}

/* A body, if one is sent, is never read: the answer comes first, and the connection ends with it. */
static enum MHD_Result on_request(void *user, struct MHD_Connection *handle, const char *path,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **context)
{
    struct aq_http_response response = {.code = MHD_HTTP_NOT_FOUND,
                                        .content_type = "text/plain; charset=utf-8"};
    (void)version;
    (void)upload;
    (void)upload_size;
    (void)context;
    answer(user, handle, path, method, &response);
    enum MHD_Result result = send_response(handle, &response);
    aq_bytes_deinit(&response.body);
    return result;
}

/* ---- listening ---- */

static enum aq_status open_socket(struct aq_http_server *server, const struct addrinfo *found)
{
    int yes = 1;
    server->fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (server->fd < 0 ||
        setsockopt(server->fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) != 0 ||
        bind(server->fd, found->ai_addr, found->ai_addrlen) != 0 ||
        listen(server->fd, AQ_HTTP_CONNECTIONS_MAX) != 0)
        return AQ_IO;
    return AQ_OK;
}

static void name_address(struct aq_http_server *server)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof(address);
    char host[NI_MAXHOST] = "", port[NI_MAXSERV] = "";
    if (getsockname(server->fd, (struct sockaddr *)&address, &size) == 0)
        getnameinfo((struct sockaddr *)&address, size, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV);
    bool is_ipv6 = strchr(host, ':') != NULL;
    snprintf(server->address, sizeof(server->address), "%s%s%s:%s", is_ipv6 ? "[" : "", host,
             is_ipv6 ? "]" : "", port);
}

static enum aq_status listen_on(struct aq_http_server *server, const struct aq_http_config *config,
                                struct aq_error *err)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
    struct addrinfo *found = NULL;
    char port[8];
    snprintf(port, sizeof(port), "%u", (unsigned)config->port);
    int result = getaddrinfo(config->host, port, &hints, &found);
    if (result != 0)
        return aq_error_set(err, AQ_INVALID, "http: cannot listen on %s:%s: %s", config->host, port,
                            gai_strerror(result));
    enum aq_status status = open_socket(server, found);
    if (status < 0)
        status = aq_error_set(err, status,
                              "http: cannot listen on %s:%s: %s; choose another http.listen",
                              config->host, port, strerror(errno));
    freeaddrinfo(found);
    if (status == AQ_OK)
        name_address(server);
    return status;
}

static enum aq_status start_daemon(struct aq_http_server *server, struct aq_error *err)
{
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC;
    server->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, server, MHD_OPTION_LISTEN_SOCKET, server->fd,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)AQ_HTTP_CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)AQ_HTTP_HEADER_BYTES_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_END);
    if (server->daemon == NULL)
        return aq_error_set(err, AQ_IO, "http: cannot start the server: %s", strerror(errno));
    server->fd = -1; /* the daemon's now */
    return AQ_OK;
}

enum aq_status aq_http_start(const struct aq_http_options *options, struct aq_http_server **server,
                             struct aq_error *err)
{
    struct aq_http_server *made = calloc(1, sizeof(*made));
    if (made == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "http: out of memory");
    *made = (struct aq_http_server){.fd = -1, .options = *options};
    if (made->options.connection_ms == 0)
        made->options.connection_ms = AQ_HTTP_CONNECTION_MS;
    for (size_t i = 0; i < AQ_HTTP_CONNECTIONS_MAX; i++)
        made->connections[i].fd = -1;
    pthread_mutex_init(&made->lock, NULL);
    enum aq_status status = listen_on(made, options->config, err);
    if (status == AQ_OK)
        status = start_daemon(made, err);
    if (status < 0) {
        aq_http_stop(made);
        return status;
    }
    *server = made;
    return AQ_OK;
}

void aq_http_stop(struct aq_http_server *server)
{
    if (server == NULL)
        return;
    if (server->daemon != NULL)
        MHD_stop_daemon(server->daemon);
    if (server->fd >= 0)
        close(server->fd);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

const char *aq_http_address(const struct aq_http_server *server)
{
    return server->address;
}
