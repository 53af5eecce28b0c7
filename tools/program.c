/* Signals, and finding config and store. */
#include "tools/program.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "tools/bucket.h"

atomic_bool aq_stop;
static volatile sig_atomic_t stop_signal;

static void on_signal(int signal_number)
{
    stop_signal = signal_number;
    aq_stop = true;
}

int aq_stop_signal(void)
{
    return (int)stop_signal;
}

void aq_stop_install(bool drains)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = drains ? 0 : (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a write beyond the limit fails with EFBIG instead */
}

/* ---- config and store ---- */

static bool holds_secret(const struct aq_config *config)
{
    for (size_t i = 0; i < config->source_count; i++)
        if (config->sources[i].client.password != NULL)
            return true;
    return config->http_config.token != NULL || config->tier_config.secret_key != NULL;
}

/* No core file, not even by a handler that ignores RLIMIT_CORE. The leak checker of a sanitizer build must
 * look into its own process, which this denies too. */
static void leave_no_core(void)
{
#ifndef __SANITIZE_ADDRESS__
    (void)prctl(PR_SET_DUMPABLE, 0);
#endif
}

enum aq_status aq_program_config(struct aq_program *program, const struct aq_config **config,
                                 struct aq_error *err)
{
    const char *path = program->options.config;
    if (path == NULL)
        path = getenv("AQSTORE_CONFIG");
    if (path == NULL && access("aqstore.yaml", F_OK) == 0)
        path = "aqstore.yaml";
    if (path == NULL)
        return aq_error_set(err, AQ_INVALID,
                            "no config: give --config FILE, or run in the folder of aqstore.yaml");
    if (program->config == NULL) {
        AQ_TRY(aq_config_load(path, &program->config, err));
        if (holds_secret(program->config))
            leave_no_core();
    }
    *config = program->config;
    return AQ_OK;
}

bool aq_program_in_bucket(const struct aq_program *program)
{
    return program->options.store != NULL && strncmp(program->options.store, "s3://", 5) == 0;
}

enum aq_status aq_program_home(struct aq_program *program, const char **home, struct aq_error *err)
{
    if (program->options.store != NULL) {
        *home = program->options.store;
        if (aq_program_in_bucket(program))
            return aq_error_set_at(err, AQ_INVALID, *home, -1,
                                   "a store in a bucket is read-only; `aqstore restore --from` it "
                                   "makes a home that can be written to");
        return AQ_OK;
    }
    const struct aq_config *config = NULL;
    enum aq_status status = aq_program_config(program, &config, err);
    if (status < 0) {
        if (program->options.config == NULL && getenv("AQSTORE_CONFIG") == NULL &&
            access("aqstore.yaml", F_OK) != 0)
            return aq_error_set(err, AQ_INVALID, "no store: give --store DIR or --config FILE");
        return status;
    }
    *home = config->store;
    return AQ_OK;
}

/* Where a reader that has no home keeps blocks: $XDG_CACHE_HOME/aqstore, else ~/.cache/aqstore; "" where
 * neither is known. */
static void find_cache(char *out, size_t out_size)
{
    const char *cache = getenv("XDG_CACHE_HOME");
    const char *user = getenv("HOME");
    out[0] = '\0';
    if (cache != NULL && cache[0] == '/')
        snprintf(out, out_size, "%s/aqstore", cache);
    else if (user != NULL && user[0] == '/')
        snprintf(out, out_size, "%s/.cache/aqstore", user);
}

/* What is not at home is read from the bucket, if one is known. */
static enum aq_status find_bucket(struct aq_program *program, struct aq_store_options *options,
                                  struct aq_error *err)
{
    AQ_TRY(aq_program_bucket(program, &options->bucket, err));
    options->cache_bytes = aq_program_tier_config(program).cache_bytes;
    if (options->cache_bytes == 0)
        options->cache_bytes = 1; /* none */
    return AQ_OK;
}

static enum aq_status open_store(struct aq_program *program, enum aq_access access_wanted,
                                 struct aq_error *err)
{
    char cache[4096];
    struct aq_store_options options = {.create = access_wanted == AQ_ACCESS_CREATE,
                                       .read_only = access_wanted == AQ_ACCESS_READ,
                                       .allow_incomplete = program->options.allow_incomplete};
    if (!aq_program_in_bucket(program) || access_wanted != AQ_ACCESS_READ)
        AQ_TRY(aq_program_home(program, &options.home, err));
    AQ_TRY(find_bucket(program, &options, err));
    find_cache(cache, sizeof(cache));
    if (options.home == NULL && cache[0] != '\0')
        options.cache_path = cache;
    const char *io = program->options.io;
    options.io = strcmp(io, "uring") == 0   ? AQ_IO_URING
                 : strcmp(io, "posix") == 0 ? AQ_IO_POSIX
                                            : AQ_IO_AUTO;
    AQ_TRY(aq_store_open(&options, &program->store, err));
    const char *notice = aq_store_io_notice(program->store);
    if (access_wanted == AQ_ACCESS_CREATE && notice[0] != '\0')
        aq_program_say(program, AQ_LEVEL_NOTICE, "%s", notice);
    return AQ_OK;
}

enum aq_status aq_program_store(struct aq_program *program, enum aq_access access_wanted,
                                struct aq_store **store, struct aq_error *err)
{
    if (program->store == NULL)
        AQ_TRY(open_store(program, access_wanted, err));
    *store = program->store;
    return AQ_OK;
}
