#include "unit.h"

#include "web.h"

#include "core/article.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#define OK_HEAD "HTTP/1.1 200 OK\r\nContent-Length: "
#define REQUEST_MAX_BYTES 4096

static char body[WEB_BODY_MAX_BYTES + 1];
static struct error error;

static void test_paths(void **state)
{
    (void)state;
    char path[1024];
    assert_int_equal(web_path(path, sizeof path, "world/a"), strlen("/totals/world/a"));
    assert_string_equal(path, "/totals/world/a");
    (void)web_path(path, sizeof path, "a%25b/c%");
    assert_string_equal(path, "/totals/a%2525b/c%25");
    char longest[ARTICLE_MAX_BYTES + 1], expected[1024] = "/totals/a";
    memset(longest, '%', ARTICLE_MAX_BYTES);
    longest[0] = 'a';
    longest[ARTICLE_MAX_BYTES] = '\0';
    for (int i = 1; i < ARTICLE_MAX_BYTES; i++)
        memcpy(expected + strlen("/totals/a") + 3 * (size_t)(i - 1), "%25", 3);
    (void)web_path(path, 3 * ARTICLE_MAX_BYTES + 16, longest);
    assert_string_equal(path, expected);
}

static void test_nobody_answers(void **state)
{
    (void)state;
    int status;
    error.text[0] = '\0';
    struct web *web = web_new("127.0.0.1", 1);
    assert_int_equal(web_total(web, "a", &status, body, &error), -1);
    assert_non_null(strstr(error.text, "http 127.0.0.1:1"));
    web_free(web);
}

/* --- a server of canned answers, a request each; a NULL closes the connection after the one before
 */

struct server {
    const char *const *answers;
    int fd, port;
    pthread_t thread;
    atomic_int connections;
    char request[REQUEST_MAX_BYTES]; /* the last; read once the server has ended */
};

static bool read_request(struct server *server, int fd)
{
    size_t have = 0;
    server->request[0] = '\0';
    while (strstr(server->request, "\r\n\r\n") == NULL) {
        ssize_t n = recv(fd, server->request + have, sizeof server->request - 1 - have, 0);
        if (n <= 0)
            return false;
        have += (size_t)n;
        server->request[have] = '\0';
    }
    return true;
}

static void *serve(void *argument)
{
    struct server *server = argument;
    const char *const *answer = server->answers;
    int fd;
    while ((fd = accept(server->fd, NULL, NULL)) >= 0) {
        server->connections++;
        while (*answer != NULL && read_request(server, fd)) {
            size_t bytes = strlen(*answer);
            (void)send(fd, *answer++, bytes, MSG_NOSIGNAL);
        }
        close(fd);
        if (*answer == NULL)
            answer++;
    }
    return NULL;
}

static void server_start(struct server *server, const char *const *answers)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t bytes = sizeof address;
    memset(server, 0, sizeof *server);
    server->answers = answers;
    server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server->fd, (struct sockaddr *)&address, bytes), 0);
    assert_int_equal(listen(server->fd, 8), 0);
    assert_int_equal(getsockname(server->fd, (struct sockaddr *)&address, &bytes), 0);
    server->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void server_stop(struct server *server)
{
    assert_int_equal(shutdown(server->fd, SHUT_RDWR), 0);
    assert_int_equal(pthread_join(server->thread, NULL), 0);
    close(server->fd);
}

static int get(struct web *web, const char *article, int *status)
{
    error.text[0] = '\0';
    return web_total(web, article, status, body, &error);
}

static void test_asks_on_one_connection(void **state)
{
    static const char *const answers[] = {OK_HEAD "2\r\n\r\n{}", OK_HEAD "0\r\n\r\n",
                                          "HTTP/1.1 404 No\r\nContent-Length: 3\r\n\r\nabc", NULL,
                                          NULL};
    struct server server;
    int status = 0;
    (void)state;
    /* The environment's proxy is for the operator's browser, not for the operator's feed. */
    assert_int_equal(setenv("http_proxy", "http://127.0.0.1:1", 1), 0);
    server_start(&server, answers);
    struct web *web = web_new("127.0.0.1", server.port);
    require(get(web, "a", &status) == 2, "%s", error.text);
    assert_int_equal(status, 200);
    assert_string_equal(body, "{}");
    require(get(web, "a", &status) == 0, "%s", error.text);
    assert_int_equal(status, 200);
    assert_string_equal(body, "");
    require(get(web, "a%b/../c?d#e", &status) == 3, "%s", error.text);
    assert_int_equal(status, 404);
    assert_string_equal(body, "abc");
    web_free(web);
    server_stop(&server);
    assert_int_equal(server.connections, 1);
    static const char first[] = "GET /totals/a%25b/../c?d#e HTTP/1.1\r\n";
    require(strncmp(server.request, first, strlen(first)) == 0, "%s", server.request);
    assert_int_equal(unsetenv("http_proxy"), 0);
}

static void test_connects_again(void **state)
{
    static const char *const answers[] = {OK_HEAD "1\r\n\r\na", NULL, OK_HEAD "1\r\n\r\nb", NULL,
                                          NULL};
    struct server server;
    int status = 0;
    (void)state;
    server_start(&server, answers);
    struct web *web = web_new("127.0.0.1", server.port);
    require(get(web, "a", &status) == 1 && body[0] == 'a', "%s", error.text);
    require(get(web, "a", &status) == 1 && body[0] == 'b', "%s", error.text);
    web_free(web);
    server_stop(&server);
    assert_int_equal(server.connections, 2);
}

static void test_is_bounded(void **state)
{
    static char most[WEB_BODY_MAX_BYTES + 100], more[sizeof most], head[65536];
    const char *const good[] = {most, NULL, NULL};
    const char *const bad[][5] = {{more, NULL, more, NULL, NULL}, {head, NULL, head, NULL, NULL}};
    struct server server;
    int status = 0;
    (void)state;
    (void)snprintf(most, sizeof most, OK_HEAD "%d\r\n\r\n%0*d", WEB_BODY_MAX_BYTES,
                   WEB_BODY_MAX_BYTES, 0);
    (void)snprintf(more, sizeof more, OK_HEAD "%d\r\n\r\n%0*d", WEB_BODY_MAX_BYTES + 1,
                   WEB_BODY_MAX_BYTES + 1, 0);
    (void)snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nX: %0*d\r\nContent-Length: 1\r\n\r\na",
                   60000, 0);
    server_start(&server, good);
    struct web *web = web_new("127.0.0.1", server.port);
    require(get(web, "a", &status) == WEB_BODY_MAX_BYTES, "%s", error.text);
    web_free(web);
    server_stop(&server);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        server_start(&server, bad[i]);
        web = web_new("127.0.0.1", server.port);
        require(get(web, "a", &status) == -1 && strstr(error.text, "http") != NULL, "row %zu", i);
        web_free(web);
        server_stop(&server);
    }
}

static void test_follows_nothing(void **state)
{
    static const char *const answers[] = {
        "HTTP/1.1 302 No\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", NULL,
        NULL};
    struct server server;
    int status = 0;
    (void)state;
    server_start(&server, answers);
    struct web *web = web_new("127.0.0.1", server.port);
    require(get(web, "a", &status) == 0, "%s", error.text);
    assert_int_equal(status, 302);
    web_free(web);
    server_stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_nobody_answers),
        cmocka_unit_test(test_asks_on_one_connection),
        cmocka_unit_test(test_connects_again),
        cmocka_unit_test(test_is_bounded),
        cmocka_unit_test(test_follows_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
