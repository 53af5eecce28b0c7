/* Many requests at once, each tried until it is done or its deadline has come.
 *
 * A slot carries a request through its tries: start, perform, judge, wait, start again. There are as many
 * slots as requests may be in flight; a free slot takes the next request. Connections belong to a session, one for each operation that runs; it is kept for the next.
 *
 * The first request that cannot be carried out ends the run: the others are broken off. When the deadline
 * leaves no room for another try the failure is AQ_TEMPORARY. */
#include "engine/object/s3/wire/s3_backoff.h"
#include "engine/object/s3/wire/s3_try.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SESSIONS_KEPT 16
#define POLL_MS_MAX 500

struct slot {
    struct aq_s3_try attempt;
    bool flying;
    bool renewed; /* the keys, for this request */
    unsigned tries;
    unsigned brief_tries; /* that ended in what hardly gets better */
    int64_t begin_ms;
    int64_t due_ms;
};

struct aq_s3_session {
    CURLM *multi;
    CURL *easies[AQ_S3_IN_FLIGHT_MAX];
    struct aq_s3_session *next;
};

struct run {
    struct aq_s3_store *store;
    struct aq_s3_session *session;
    struct aq_s3_request *requests;
    size_t request_count;
    size_t taken;
    size_t done;
    uint64_t sent; /* of the requests that are done */
    struct slot *slots;
    size_t slot_count;
};

/* Sessions. */

static void session_destroy(struct aq_s3_session *session)
{
    if (session == NULL)
        return;
    for (size_t i = 0; i < AQ_S3_IN_FLIGHT_MAX; i++)
        if (session->easies[i] != NULL)
            curl_easy_cleanup(session->easies[i]);
    if (session->multi != NULL)
        curl_multi_cleanup(session->multi);
    free(session);
}

static struct aq_s3_session *session_take(struct aq_s3_store *store)
{
    pthread_mutex_lock(&store->lock);
    struct aq_s3_session *session = store->idle;
    if (session != NULL)
        store->idle = session->next;
    pthread_mutex_unlock(&store->lock);
    if (session == NULL)
        session = calloc(1, sizeof *session);
    if (session != NULL && session->multi == NULL) {
        session->multi = curl_multi_init();
        curl_multi_setopt(session->multi, CURLMOPT_MAXCONNECTS, (long)store->in_flight_max);
    }
    if (session != NULL && session->multi == NULL) {
        free(session);
        session = NULL;
    }
    return session;
}

static void session_give(struct aq_s3_store *store, struct aq_s3_session *session)
{
    size_t kept = 0;
    pthread_mutex_lock(&store->lock);
    for (struct aq_s3_session *at = store->idle; at != NULL; at = at->next)
        kept++;
    if (kept < SESSIONS_KEPT) {
        session->next = store->idle;
        store->idle = session;
        session = NULL;
    }
    pthread_mutex_unlock(&store->lock);
    session_destroy(session);
}

void aq_s3_sessions_close(struct aq_s3_store *store)
{
    while (store->idle != NULL) {
        struct aq_s3_session *next = store->idle->next;
        session_destroy(store->idle);
        store->idle = next;
    }
}

/* Tries. */

static enum aq_status locate(const struct run *run, const struct aq_s3_request *request,
                             enum aq_status status, struct aq_error *err)
{
    struct aq_object_path path =
        aq_object_path(&run->store->base, request->name == NULL ? "" : request->name);
    return aq_error_locate(err, status, path.text, 0);
}

static enum aq_status start(struct run *run, struct slot *slot, struct aq_error *err)
{
    struct aq_s3_try *attempt = &slot->attempt;
    slot->tries++;
    enum aq_status status = aq_s3_try_begin(attempt, err);
    if (status == AQ_OK && curl_multi_add_handle(run->session->multi, attempt->easy) != CURLM_OK)
        status = aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    if (status != AQ_OK)
        return locate(run, attempt->request, status, err);
    slot->flying = true;
    return AQ_OK;
}

static void land(struct run *run, struct slot *slot)
{
    if (slot->flying)
        curl_multi_remove_handle(run->session->multi, slot->attempt.easy);
    slot->flying = false;
    aq_s3_try_clear(&slot->attempt);
}

static enum aq_status give_up(struct run *run, const struct slot *slot, enum aq_status status,
                              struct aq_error *err)
{
    size_t used = strlen(err->message);
    snprintf(err->message + used, sizeof err->message - used,
             "; given up after %u tries in %.1f s: try again later", slot->tries,
             (double)(aq_s3_now_ms() - slot->begin_ms) / 1000);
    err->status = status;
    return locate(run, slot->attempt.request, status, err);
}

/* After a failed try: when the next one begins, or why there is none. */
static enum aq_status plan_next(struct run *run, struct slot *slot, struct aq_s3_verdict verdict,
                                struct aq_error *err)
{
    struct aq_s3_request *request = slot->attempt.request;
    int64_t now = aq_s3_now_ms();
    if (verdict.renew_key && !slot->renewed) {
        slot->renewed = true;
        aq_s3_keyring_renew(run->store->keyring);
        slot->due_ms = now;
        return AQ_OK;
    }
    if (!verdict.retry)
        return locate(run, request, verdict.status, err);
    request->uncertain = request->uncertain || !verdict.unsent;
    slot->due_ms = now + aq_s3_backoff_ms(slot->tries);
    if (slot->due_ms < now + request->answer.retry_after_ms)
        slot->due_ms = now + request->answer.retry_after_ms;
    slot->brief_tries += verdict.brief;
    if (slot->brief_tries >= AQ_S3_BRIEF_TRIES)
        return give_up(run, slot, verdict.status, err);
    if (slot->due_ms > slot->begin_ms + run->store->deadline_ms)
        return give_up(run, slot, AQ_TEMPORARY, err);
    atomic_fetch_add(&run->store->retry_count, 1);
    return AQ_OK;
}

static enum aq_status finish(struct run *run, struct slot *slot, CURLcode code,
                             struct aq_error *err)
{
    struct aq_s3_try *attempt = &slot->attempt;
    aq_s3_try_end(attempt);
    struct aq_s3_verdict verdict = aq_s3_judge(attempt, code, err);
    uint64_t sent = attempt->sent;
    land(run, slot);
    if (verdict.status == AQ_OK) {
        run->done++;
        run->sent += sent;
        attempt->request = NULL;
        return AQ_OK;
    }
    return plan_next(run, slot, verdict, err);
}

static enum aq_status reap(struct run *run, bool *any, struct aq_error *err)
{
    int left = 0;
    CURLMsg *message;
    while ((message = curl_multi_info_read(run->session->multi, &left)) != NULL) {
        char *private = NULL;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
        *any = true;
        /* The attempt is the slot's first member. */
        AQ_TRY(finish(run, (struct slot *)(void *)private, message->data.result, err));
    }
    return AQ_OK;
}

static void take_next(struct run *run, struct slot *slot)
{
    struct aq_s3_request *request = &run->requests[run->taken++];
    slot->attempt.request = request;
    slot->attempt.out_begin = request->out == NULL ? 0 : request->out->size;
    slot->tries = 0;
    slot->brief_tries = 0;
    slot->renewed = false;
    slot->begin_ms = aq_s3_now_ms();
    slot->due_ms = slot->begin_ms;
}

/* Starts what is due. @param wait_ms  Until the next is due, unless something happens before. */
static enum aq_status start_due(struct run *run, int *wait_ms, struct aq_error *err)
{
    *wait_ms = POLL_MS_MAX;
    for (size_t i = 0; i < run->slot_count; i++) {
        struct slot *slot = &run->slots[i];
        if (slot->attempt.request == NULL && run->taken < run->request_count)
            take_next(run, slot);
        if (slot->attempt.request == NULL || slot->flying)
            continue;
        int64_t left = slot->due_ms - aq_s3_now_ms();
        if (left <= 0)
            AQ_TRY(start(run, slot, err));
        else if (left < *wait_ms)
            *wait_ms = (int)left;
    }
    return AQ_OK;
}

static enum aq_status tell(struct run *run, struct aq_s3_watch *watch, struct aq_error *err)
{
    uint64_t sent = run->sent;
    if (watch == NULL || watch->progress == NULL)
        return AQ_OK;
    for (size_t i = 0; i < run->slot_count; i++)
        sent += run->slots[i].flying ? run->slots[i].attempt.sent : 0;
    if (sent <= watch->told)
        return AQ_OK;
    watch->told = sent;
    enum aq_status status = watch->progress(watch->context, sent);
    if (run->done == run->request_count) /* it cannot be broken off any more */
        return AQ_OK;
    if (status < 0)
        aq_error_set(err, status, "%s", aq_status_text(status));
    return status;
}

static enum aq_status loop(struct run *run, struct aq_s3_watch *watch, struct aq_error *err)
{
    while (run->done < run->request_count) {
        int wait_ms;
        int running;
        bool any = false;
        AQ_TRY(start_due(run, &wait_ms, err));
        if (curl_multi_perform(run->session->multi, &running) != CURLM_OK)
            return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
        AQ_TRY(reap(run, &any, err));
        AQ_TRY(tell(run, watch, err));
        if (!any && curl_multi_poll(run->session->multi, NULL, 0, wait_ms, NULL) != CURLM_OK)
            return aq_error_set(err, AQ_IO, "cannot wait for the network");
    }
    return AQ_OK;
}

static enum aq_status prepare(struct run *run, struct aq_error *err)
{
    size_t most = run->store->in_flight_max;
    run->slot_count = run->request_count < most ? run->request_count : most;
    run->session = session_take(run->store);
    run->slots = calloc(run->slot_count, sizeof *run->slots);
    if (run->session == NULL || run->slots == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < run->slot_count; i++) {
        CURL **easy = &run->session->easies[i];
        if (*easy == NULL)
            *easy = curl_easy_init();
        if (*easy == NULL)
            return aq_error_set(err, AQ_NO_MEMORY, "out of memory");
        run->slots[i].attempt.store = run->store;
        run->slots[i].attempt.easy = *easy;
    }
    return AQ_OK;
}

enum aq_status aq_s3_run(struct aq_s3_store *store, struct aq_s3_request *requests,
                         size_t request_count, struct aq_s3_watch *watch, struct aq_error *err)
{
    struct run run = {.store = store, .requests = requests, .request_count = request_count};
    struct aq_error last = {0}; /* also of a try that is followed by a better one */
    if (request_count == 0)
        return AQ_OK;
    enum aq_status status = prepare(&run, &last);
    if (status == AQ_OK)
        status = loop(&run, watch, &last);
    if (status != AQ_OK && err != NULL)
        *err = last;
    for (size_t i = 0; run.slots != NULL && i < run.slot_count; i++)
        land(&run, &run.slots[i]);
    free(run.slots);
    if (run.session != NULL)
        session_give(store, run.session);
    return status;
}
