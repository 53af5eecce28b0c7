/* What would mend what `verify` found. A plan is steps to read and to run; nothing is changed by making one. */
#ifndef AQ_TOOLS_VERIFY_REPAIR_PLAN_H
#define AQ_TOOLS_VERIFY_REPAIR_PLAN_H

#include "tools/verify/verify.h"

/** A step is a shell command; a line that begins with '#' is for people. */
#define AQ_REPAIR_STEPS_MAX 16

/** Of one damaged file, or of the folder `catalog`. */
struct aq_repair {
    const char *file;
    const char *loss; /* what is gone if the steps are followed */
    size_t step_count;
    const char *steps[AQ_REPAIR_STEPS_MAX];
};

/** Zero-initialise; aq_repair_plan_deinit. Texts live in the arena. */
struct aq_repair_plan {
    struct aq_arena arena;
    const char *store; /* "aqstore --store HOME", quoted for a shell */
    const char *home;
    size_t count;
    size_t capacity;
    struct aq_repair *items;
};

/** Add what mends the faults of the home. @param catalog  NULL: it cannot be read. */
enum aq_status aq_repair_plan_make(struct aq_repair_plan *plan, const struct aq_verify *verify,
                                   const char *home, const struct aq_catalog *catalog,
                                   struct aq_error *err) AQ_RESULT;
void aq_repair_plan_deinit(struct aq_repair_plan *plan);

/** For a terminal. */
void aq_repair_plan_text(const struct aq_repair_plan *plan, struct aq_bytes *out);
/** The elements of an array of objects: file, loss, steps. */
void aq_repair_plan_json(const struct aq_repair_plan *plan, struct aq_bytes *out);

/* The parts of a plan (repair_catalog.c adds to it what repair_plan.c prints). */
/** A new item, zeroed but for `file`; NULL: no memory. */
struct aq_repair *aq_repair_add(struct aq_repair_plan *plan, const char *file);
/** Append a step, as printf; a failure shows in `plan` as a missing step only when memory is out. */
void aq_repair_step(struct aq_repair_plan *plan, struct aq_repair *item, const char *format, ...)
    AQ_PRINTF(3, 4);
/** `text` as one word of a shell, in the plan's arena. */
const char *aq_repair_quote(struct aq_repair_plan *plan, const char *text);
/** What mends the folder `catalog` of a home whose catalog cannot be read (repair_catalog.c). */
enum aq_status aq_repair_catalog(struct aq_repair_plan *plan, struct aq_error *err) AQ_RESULT;

#endif
