/* The HTTP server's limits, over real sockets. */
#include <criterion/criterion.h>

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/service/http/http_server.h"

static struct aq_http_config config = {.host = "127.0.0.1"};
static struct aq_http_server *server;

static void respond(void *context, const char *path, struct aq_http_response *response)
{
    (void)context;
    if (strcmp(path, "/page") != 0)
        return;
    response->code = 200;
    aq_bytes_chars(&response->body, "a page\n");
}

static void start(const char *token, int64_t connection_ms)
{
    struct aq_error err = {0};
    config.token = token;
    struct aq_http_options options = {
        .config = &config, .respond = respond, .connection_ms = connection_ms};
    cr_assert_eq(aq_http_start(&options, &server, &err), AQ_OK, "%s", err.message);
}

static void stop(void)
{
    aq_http_stop(server);
}

TestSuite(http_server, .fini = stop, .timeout = 60);

static int dial(void)
{
    const char *address = aq_http_address(server);
    cr_assert_eq(strncmp(address, "127.0.0.1:", 10), 0, "%s", address);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)strtoul(address + 10, NULL, 10)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

/* All that comes until the server closes; static. */
static const char *read_all(int fd)
{
    static char text[65536];
    size_t size = 0;
    for (;;) {
        ssize_t count = recv(fd, text + size, sizeof text - 1 - size, 0);
        if (count <= 0)
            break;
        size += (size_t)count;
    }
    text[size] = '\0';
    close(fd);
    return text;
}

static const char *ask(const char *request)
{
    int fd = dial();
    cr_assert_eq(send(fd, request, strlen(request), MSG_NOSIGNAL), (ssize_t)strlen(request));
    return read_all(fd);
}

static bool begins(const char *text, const char *beginning)
{
    return strncmp(text, beginning, strlen(beginning)) == 0;
}

#define HOST "Host: x\r\n"

Test(http_server, answers_get_and_head_and_closes)
{
    start(NULL, 0);
    const char *answer = ask("GET /page HTTP/1.1\r\n" HOST "\r\n");
    cr_assert(begins(answer, "HTTP/1.1 200"), "%s", answer);
    cr_assert_not_null(strstr(answer, "\r\nConnection: close"));
    cr_assert_not_null(strstr(answer, "\r\n\r\na page\n"));
    answer = ask("HEAD /page HTTP/1.1\r\n" HOST "\r\n");
    cr_assert(begins(answer, "HTTP/1.1 200"), "%s", answer);
    cr_assert_null(strstr(answer, "a page"));
    cr_assert_not_null(strstr(answer, "Content-Length: 7"));
    cr_assert(begins(ask("GET /page?query HTTP/1.0\r\n\r\n"), "HTTP/1.1 200"));
}

Test(http_server, refuses_other_paths_methods_and_bodies)
{
    start(NULL, 0);
    cr_assert(begins(ask("GET / HTTP/1.1\r\n" HOST "\r\n"), "HTTP/1.1 404"));
    cr_assert(begins(ask("GET /page/.. HTTP/1.1\r\n" HOST "\r\n"), "HTTP/1.1 404"));
    static const char *const methods[] = {"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "ODD"};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        char request[128];
        snprintf(request, sizeof request, "%s /page HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n",
                 methods[i]);
        const char *answer = ask(request);
        cr_assert(begins(answer, "HTTP/1.1 405"), "%s: %s", methods[i], answer);
        cr_assert_not_null(strstr(answer, "\r\nAllow: GET, HEAD"));
    }
    /* A body that never comes is not waited for. */
    const char *answer = ask("POST /page HTTP/1.1\r\n" HOST "Content-Length: 1000000\r\n\r\nabc");
    cr_assert(begins(answer, "HTTP/1.1 405"), "%s", answer);
}

Test(http_server, wants_the_token_exactly)
{
    static const char *const wrong[] = {
        "",
        "Authorization: Bearer\r\n",
        "Authorization: Bearer \r\n",
        "Authorization: Bearer secre\r\n",
        "Authorization: Bearer secret1\r\n",
        "Authorization: Bearer secretsecret\r\n",
        "Authorization: Bearer SECRET\r\n",
        "Authorization: Basic secret\r\n",
        "X-Authorization: Bearer secret\r\n",
    };
    start("secret", 0);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char request[256];
        snprintf(request, sizeof request, "GET /page HTTP/1.1\r\n" HOST "%s\r\n", wrong[i]);
        const char *answer = ask(request);
        cr_assert(begins(answer, "HTTP/1.1 401"), "%s: %s", wrong[i], answer);
        cr_assert_not_null(strstr(answer, "\r\nWWW-Authenticate: Bearer"));
        cr_assert_null(strstr(answer, "secret"));
    }
    /* Nobody learns without it what is there. */
    cr_assert(begins(ask("GET /nope HTTP/1.1\r\n" HOST "\r\n"), "HTTP/1.1 401"));
    cr_assert(begins(ask("POST /page HTTP/1.1\r\n" HOST "\r\n"), "HTTP/1.1 401"));
    cr_assert(begins(ask("GET /page HTTP/1.1\r\n" HOST "Authorization: Bearer secret\r\n\r\n"),
                     "HTTP/1.1 200"));
    cr_assert(begins(ask("GET /page HTTP/1.1\r\n" HOST "authorization: bearer secret\r\n\r\n"),
                     "HTTP/1.1 200"));
}

Test(http_server, bounds_headers)
{
    static char request[AQ_HTTP_HEADER_BYTES_MAX * 4];
    start(NULL, 0);
    size_t size = (size_t)snprintf(request, sizeof request, "GET /page HTTP/1.1\r\n" HOST "X: ");
    memset(request + size, 'x', sizeof request - size - 5);
    memcpy(request + sizeof request - 5, "\r\n\r\n", 5);
    int fd = dial();
    (void)!send(fd, request, sizeof request - 1, MSG_NOSIGNAL);
    const char *answer = read_all(fd);
    cr_assert(answer[0] == '\0' || begins(answer, "HTTP/1.1 4"), "%s", answer);
    memset(request + strlen("GET /"), 'x', sizeof request - 1 - strlen("GET /"));
    fd = dial();
    (void)!send(fd, request, sizeof request - 1, MSG_NOSIGNAL);
    answer = read_all(fd);
    cr_assert(answer[0] == '\0' || begins(answer, "HTTP/1.1 4"), "%s", answer);
    (void)ask("nonsense\r\n\r\n");
    cr_assert(begins(ask("GET /page HTTP/1.1\r\n" HOST "\r\n"), "HTTP/1.1 200"));
}

/* Clients that send a byte now and then: the library's own timeout never strikes. */
Test(http_server, cuts_slow_clients_and_serves_others)
{
    int slow[AQ_HTTP_CONNECTIONS_MAX];
    start(NULL, 500);
    for (size_t i = 0; i < AQ_HTTP_CONNECTIONS_MAX; i++) {
        slow[i] = dial();
        cr_assert_eq(send(slow[i], "G", 1, MSG_NOSIGNAL), 1);
    }
    int fd = dial(); /* waits for its turn */
    static const char request[] = "GET /page HTTP/1.1\r\n" HOST "\r\n";
    cr_assert_eq(send(fd, request, sizeof request - 1, MSG_NOSIGNAL), (ssize_t)sizeof request - 1);
    struct pollfd answered = {.fd = fd, .events = POLLIN};
    int turns = 0;
    for (; turns < 40 && poll(&answered, 1, 100) == 0; turns++) {
        for (size_t i = 0; i < AQ_HTTP_CONNECTIONS_MAX; i++)
            (void)!send(slow[i], "E", 1, MSG_NOSIGNAL);
        aq_http_sweep(server);
    }
    cr_assert_lt(turns, 40, "the slow clients were not cut");
    cr_assert(begins(read_all(fd), "HTTP/1.1 200"));
    for (size_t i = 0; i < AQ_HTTP_CONNECTIONS_MAX; i++)
        close(slow[i]);
}

Test(http_server, says_why_it_cannot_listen)
{
    struct aq_error err = {0};
    struct aq_http_server *second = NULL;
    start(NULL, 0);
    struct aq_http_config taken = {.host = "127.0.0.1"};
    taken.port = (uint16_t)strtoul(aq_http_address(server) + 10, NULL, 10);
    struct aq_http_options options = {.config = &taken, .respond = respond};
    cr_assert_eq(aq_http_start(&options, &second, &err), AQ_IO);
    cr_assert_not_null(strstr(err.message, "Address already in use"), "%s", err.message);
    taken.host = "localhost";
    cr_assert_eq(aq_http_start(&options, &second, &err), AQ_INVALID);
}
