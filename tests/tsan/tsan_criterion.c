/* Runs the tests of a unit binary in the build for ThreadSanitizer, in Criterion's place: Criterion keeps its own memory at
 * addresses that the sanitizer takes for itself ("Could not initialize inheritable arena").
 *
 * Each test is a fork of the main thread, a few at a time; it ends with 0, 1 (an assertion failed), 77 (skipped) or 66 (a
 * race was reported); a signal, also that of its time limit, is a crash. What the macros of criterion.h call is here as far
 * as the tests use it: another use fails to link. */
#include <criterion/criterion.h>

#include <fnmatch.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SKIPPED = 77, SECONDS_MAX = 600, JOBS_MAX = 64 };

/* Where the macros Test and TestSuite leave what they define; a binary may have no suites. */
extern struct criterion_test *__start_cr_tst[], *__stop_cr_tst[];
extern struct criterion_suite *__start_cr_sts[] __attribute__((weak));
extern struct criterion_suite *__stop_cr_sts[] __attribute__((weak));

struct criterion_options criterion_options;

/* Of the one test of this process. */
static const struct criterion_test *test;
static jmp_buf after_test;
static bool failed;

/* ---- what the macros call ---- */

static const struct criterion_test_extra_data *suite_data(void)
{
    static const struct criterion_test_extra_data none;
    // cppcheck-suppress comparePointers ; the linker makes one array of them
    for (struct criterion_suite **suite = __start_cr_sts; suite < __stop_cr_sts; suite++) {
        if (*suite != NULL && strcmp((*suite)->name, test->category) == 0)
            return (*suite)->data;
    }
    return &none;
}

static void call(void (*function)(void))
{
    if (function != NULL && setjmp(after_test) == 0)
        function();
}

void criterion_internal_test_setup(void)
{
    call(suite_data()->init);
    call(test->data->init);
}

void criterion_internal_test_main(void (*function)(void))
{
    if (!failed)
        call(function);
}

void criterion_internal_test_teardown(void)
{
    call(test->data->fini);
    call(suite_data()->fini);
}

void criterion_send_assert(struct criterion_assert_stats *stats)
{
    fprintf(stderr, "%s:%u: %s/%s: %s\n", stats->file, stats->line, test->category, test->name,
            stats->message);
}

void cri_asserts_passed_incr(void)
{
}

void criterion_abort_test(void)
{
    failed = true;
    longjmp(after_test, 1);
}

void criterion_continue_test(void)
{
    failed = true;
}

void criterion_skip_test(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    exit(SKIPPED);
}

char *cr_translate_assert_msg(int message, ...)
{
    va_list arguments;
    va_start(arguments, message);
    char *copy = strdup(va_arg(arguments, const char *)); /* the expression, or the first of two */
    va_end(arguments);
    return copy;
}

int cr_asprintf(char **out, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size = vasprintf(out, format, arguments);
    va_end(arguments);
    return size;
}

void cr_asprintf_free(char *text)
{
    free(text);
}

void cr_log(enum criterion_severity severity, const char *format, ...)
{
    (void)severity;
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
}

/* ---- the run ---- */

static struct {
    unsigned running, tested, passing, failing, crashing;
    pid_t pids[JOBS_MAX];
    const struct criterion_test *tests[JOBS_MAX];
} all;

static const char *take_result(int status)
{
    if (!WIFEXITED(status)) {
        all.crashing++;
        return WTERMSIG(status) == SIGALRM ? "took too long" : strsignal(WTERMSIG(status));
    }
    if (WEXITSTATUS(status) == SKIPPED) {
        all.tested--;
        return "skipped";
    }
    bool passed = WEXITSTATUS(status) == 0;
    all.passing += passed;
    all.failing += !passed;
    return passed ? NULL : "failed";
}

static void wait_for_one(void)
{
    int status = 0;
    pid_t ended = wait(&status);
    unsigned at = 0;
    while (all.pids[at] != ended)
        at++;
    const char *word = take_result(status);
    if (word != NULL)
        printf("%s/%s: %s\n", all.tests[at]->category, all.tests[at]->name, word);
    all.running--;
    all.pids[at] = all.pids[all.running];
    all.tests[at] = all.tests[all.running];
}

static void start(const struct criterion_test *started)
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        alarm(SECONDS_MAX);
        test = started;
        test->test();
        exit(failed);
    }
    all.pids[all.running] = child;
    all.tests[all.running++] = started;
    all.tested++;
}

static bool is_wanted(const struct criterion_test *one, const char *pattern)
{
    char name[512];
    snprintf(name, sizeof name, "%s/%s", one->category, one->name);
    return pattern == NULL || fnmatch(pattern, name, 0) == 0;
}

int main(int argument_count, char **arguments)
{
    unsigned jobs = 1;
    const char *pattern = NULL;
    for (int i = 1; i + 1 < argument_count; i += 2) {
        if (strcmp(arguments[i], "--jobs") == 0)
            jobs = (unsigned)strtoul(arguments[i + 1], NULL, 10);
        else if (strcmp(arguments[i], "--filter") == 0)
            pattern = arguments[i + 1];
    }
    jobs = jobs < 1 ? 1 : jobs > JOBS_MAX ? JOBS_MAX : jobs;
    // cppcheck-suppress comparePointers ; as above
    for (struct criterion_test **one = __start_cr_tst; one < __stop_cr_tst; one++) {
        if (*one == NULL || !is_wanted(*one, pattern))
            continue;
        if (all.running == jobs)
            wait_for_one();
        start(*one);
    }
    while (all.running > 0)
        wait_for_one();
    printf("Synthesis: Tested: %u | Passing: %u | Failing: %u | Crashing: %u\n", all.tested,
           all.passing, all.failing, all.crashing);
    return all.failing + all.crashing > 0;
}
